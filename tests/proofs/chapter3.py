"""Answers to the exercises of Chapter 3."""

import math

import numpy as np

from proofs import right, wrong

# ---------------------------------------------------------------- 3.1 additive_score


@right("additive_score")
def score_in_loops(s, h, W, U, v):
    scores = []
    for state, row in zip(s, h, strict=True):
        scores.append([])
        for word in row:
            total = [
                sum(a * w for a, w in zip(state, W[:, k], strict=True))
                + sum(a * u for a, u in zip(word, U[:, k], strict=True))
                for k in range(len(v))
            ]
            scores[-1].append(sum(x * math.tanh(t) for x, t in zip(v, total, strict=True)))
    return scores


@right("additive_score")
def score_by_einsum(s, h, W, U, v):
    query = np.einsum("bn,na->ba", s, W)
    keys = np.einsum("bsm,ma->bsa", h, U)
    return np.einsum("bsa,a->bs", np.tanh(np.expand_dims(query, 1) + keys), v)


@right("additive_score")
def score_of_joined_rows(s, h, W, U, v):
    S = h.shape[1]
    joined = np.concatenate([np.repeat(s[:, None], S, axis=1), h], axis=-1)
    return np.tanh(joined @ np.vstack([W, U])) @ v


@right("additive_score")
def score_by_torch(s, h, W, U, v):
    import torch

    s, h, W, U, v = (torch.as_tensor(np.array(x)) for x in (s, h, W, U, v))
    return torch.tanh((s @ W).unsqueeze(1) + h @ U).matmul(v).numpy()


@right("additive_score")
def score_place_by_place(s, h, W, U, v):
    query = np.dot(s, W)
    columns = [np.tanh(query + np.dot(h[:, j], U)).dot(v) for j in range(h.shape[1])]
    return np.stack(columns, axis=1)


# the query has no axis for the source
@wrong("additive_score", says="word j is asked by the state of sentence j")
def no_axis_for_the_source(s, h, W, U, v):
    return np.tanh(s @ W + h @ U) @ v


# S copies of the states, laid out in the wrong order
@wrong("additive_score", says="word j is asked by the state of sentence j")
def copies_in_the_wrong_order(s, h, W, U, v):
    B, S, _ = h.shape
    copies = np.tile(s, (S, 1)).reshape(B, S, -1)
    return np.tanh(copies @ W + h @ U) @ v


# works for a batch of one
@wrong("additive_score", says="the first state asks the words of all sentences")
def first_state_for_all(s, h, W, U, v):
    return np.tanh(s[0] @ W + h @ U) @ v


# only the first sentence is looked at
@wrong("additive_score", says="asks the words of the first sentence")
def first_sentence_for_all(s, h, W, U, v):
    return np.tanh((s @ W)[:, None] + h[0] @ U) @ v


# a softmax that nobody asked for
@wrong("additive_score", says="scores are asked for")
def softmax_on_top(s, h, W, U, v):
    e = score_by_einsum(s, h, W, U, v)
    return np.exp(e) / np.exp(e).sum(axis=1, keepdims=True)


# no tanh
@wrong("additive_score", says="the tanh is missing")
def no_tanh(s, h, W, U, v):
    return ((s @ W)[:, None] + h @ U) @ v


# tanh after the sum with v
@wrong("additive_score", says="tanh of the score")
def tanh_around_everything(s, h, W, U, v):
    return np.tanh(((s @ W)[:, None] + h @ U) @ v)


# a tanh for each of the two
@wrong("additive_score", says="tanh of query and of keys one by one")
def two_tanhs(s, h, W, U, v):
    return (np.tanh(s @ W)[:, None] + np.tanh(h @ U)) @ v


# a sigmoid for the tanh
@wrong("additive_score", says="a sigmoid")
def sigmoid_for_tanh(s, h, W, U, v):
    return (1 / (1 + np.exp(-(s @ W)[:, None] - h @ U))) @ v


# a relu for the tanh
@wrong("additive_score", says="a ReLU")
def relu_for_tanh(s, h, W, U, v):
    return np.maximum((s @ W)[:, None] + h @ U, 0) @ v


# v is forgotten
@wrong("additive_score", says="v was left out")
def v_forgotten(s, h, W, U, v):
    return np.tanh((s @ W)[:, None] + h @ U).sum(axis=-1)


# the mean over the units
@wrong("additive_score", says="the mean over the A units")
def mean_over_units(s, h, W, U, v):
    return (np.tanh((s @ W)[:, None] + h @ U) * v).mean(axis=-1)


# the scale of the dot product
@wrong("additive_score", says="divided by √A")
def scaled_like_a_dot_product(s, h, W, U, v):
    return score_by_einsum(s, h, W, U, v) / np.sqrt(len(v))


# the state never asks
@wrong("additive_score", says="the query plays no part")
def state_forgotten(s, h, W, U, v):
    return np.tanh(h @ U) @ v


# the words are never asked
@wrong("additive_score", says="the keys play no part")
def words_forgotten(s, h, W, U, v):
    return np.repeat((np.tanh(s @ W) @ v)[:, None], h.shape[1], axis=1)


# a product for the sum
@wrong("additive_score", says="W s times U h")
def product_for_the_sum(s, h, W, U, v):
    return np.tanh((s @ W)[:, None] * (h @ U)) @ v


# a dot product of the projections
@wrong("additive_score", says="a dot product of W s and U h,")
def dot_product(s, h, W, U, v):
    return np.einsum("ba,bsa->bs", s @ W, h @ U)


# minus for plus
@wrong("additive_score", says="W s minus U h")
def difference_for_the_sum(s, h, W, U, v):
    return np.tanh((s @ W)[:, None] - h @ U) @ v


# the last axis kept
@wrong("additive_score", says="v as a matrix with one column leaves an")
def last_axis_kept(s, h, W, U, v):
    return np.tanh((s @ W)[:, None] + h @ U) @ v[:, None]


# the units weighted and not added up
@wrong("additive_score", says="the A units were not summed, with v, into")
def units_not_added(s, h, W, U, v):
    return np.tanh((s @ W)[:, None] + h @ U) * v


# the source in front
@wrong("additive_score", says="the axes are turned round")
def source_first(s, h, W, U, v):
    return score_by_einsum(s, h, W, U, v).T


# PyTorch's matrices
@wrong("additive_score", says="mismatch in its core dimension")
def projections_transposed(s, h, W, U, v):
    return np.tanh((s @ W.T)[:, None] + h @ U.T) @ v


# the caller's array gets another shape
@wrong("additive_score", says="s was given another shape")
def shape_of_the_argument_changed(s, h, W, U, v):
    s.shape = (len(s), 1, -1)
    return np.tanh(s @ W + h @ U) @ v


# all pairs of sentences
@wrong("additive_score", says="every state asks every sentence")
def all_pairs_of_sentences(s, h, W, U, v):
    return np.tanh((s @ W)[:, None, None] + (h @ U)[None]) @ v


# right unless there is one sentence, or one word
@wrong("additive_score", says="np.squeeze takes away every axis of length 1")
def squeezed(s, h, W, U, v):
    return np.squeeze(np.tanh((s @ W)[:, None] + h @ U) @ v)


# ---------------------------------------------------------------- 3.2 read_the_map

LINKS = [0, 1, 3, 3, 4, 5, 7, 6]


@right("read_the_map")
def read_with_the_eyes():
    return {"places": LINKS, "sure_found": 5, "possible_found": 6, "aer": 0.267}


@right("read_the_map")
def read_with_a_fraction():
    sure, possible, links, all_sure = 5, 6, 8, 7
    return {
        "aer": 1 - (sure + possible) / (links + all_sure),
        "possible_found": possible,
        "sure_found": sure,
        "places": tuple(LINKS),
    }


@right("read_the_map")
def read_with_numpy():
    sure = np.array([[0, 0], [1, 2], [2, 3], [3, 2], [5, 5], [6, 7], [7, 6]])
    dashed = np.array([[2, 1], [4, 4], [4, 7]])
    places = np.array(LINKS)
    found = (places[sure[:, 0]] == sure[:, 1]).sum()
    more = (places[dashed[:, 0]] == dashed[:, 1]).sum()
    aer = 1 - (2 * found + more) / (len(places) + len(sure))
    return dict(
        places=places, sure_found=found, possible_found=found + more, aer=np.float32(aer).round(3)
    )


@right("read_the_map")
def read_with_sets():
    links = set(enumerate(LINKS))
    sure = {(0, 0), (1, 2), (2, 3), (3, 2), (5, 5), (6, 7), (7, 6)}
    possible = sure | {(2, 1), (4, 4), (4, 7)}
    return {
        "places": [j for _, j in sorted(links)],
        "sure_found": len(links & sure),
        "possible_found": len(links & possible),
        "aer": round(1 - (len(links & sure) + len(links & possible)) / (len(links) + len(sure)), 3),
    }


# places counted from 1
@wrong("read_the_map", says="counted from 1")
def places_from_one():
    return read_with_the_eyes() | {"places": [1 + j for j in LINKS]}


# the row of <eos> too
@wrong("read_the_map", says="the row of <eos> says no word")
def nine_rows():
    return read_with_the_eyes() | {"places": [*LINKS, 6]}


# the first row is thought to belong to <sos>
@wrong("read_the_map", says="one row too late")
def rows_one_too_late():
    return read_with_the_eyes() | {"places": [1, 3, 3, 4, 5, 7, 6, 6]}


# columns read: the place of the French word for each English one
@wrong("read_the_map", says="read by columns")
def columns_read():
    return read_with_the_eyes() | {"places": [0, 1, 1, 2, 4, 5, 7, 6]}


# the outlines read instead of the weights
@wrong("read_the_map", says="those are the outlines, the grammar's links")
def outlines_read():
    places = [0, 2, 3, 2, 4, 5, 7, 6]
    return {"places": places, "sure_found": 7, "possible_found": 8, "aer": 0.0}


# the last two words in English order
@wrong("read_the_map", says="look again at row 7, 8")
def noun_and_adjective_swapped():
    places = [0, 1, 3, 3, 4, 5, 6, 7]
    return {"places": places, "sure_found": 3, "possible_found": 4, "aer": 0.533}


# places along the diagonal, as if word for word
@wrong("read_the_map", says="that is the diagonal")
def diagonal():
    return read_with_the_eyes() | {"places": list(range(8))}


# words for places
@wrong("read_the_map", says="places is an array of numbers")
def words_for_places():
    return read_with_the_eyes() | {"places": ["we", "do", "see", "see", "an", "old", "car", "red"]}


# P without S: only the dashed outline that was found
@wrong("read_the_map", says="only possible ones were counted")
def dashed_only():
    return {"places": LINKS, "sure_found": 5, "possible_found": 1, "aer": round(1 - 6 / 15, 3)}


# dashed outlines taken for sure
@wrong("read_the_map", says="one too many")
def dashed_taken_for_sure():
    return {"places": LINKS, "sure_found": 6, "possible_found": 6, "aer": round(1 - 12 / 18, 3)}


# ne on do is taken for a link
@wrong("read_the_map", says="one too many")
def a_miss_taken_for_a_hit():
    return {"places": LINKS, "sure_found": 6, "possible_found": 7, "aer": round(1 - 13 / 15, 3)}


# below the line the possible ones
@wrong("read_the_map", says="not |A| and |P|")
def divided_by_possible():
    return read_with_the_eyes() | {"aer": round(1 - 11 / 18, 3)}


# below the line the sure ones that were found
@wrong("read_the_map", says="all sure links, found or not")
def divided_by_found():
    return read_with_the_eyes() | {"aer": round(1 - 11 / 13, 3)}


# below the line twice the eight words
@wrong("read_the_map", says="S is not as large as A")
def divided_by_twice_the_links():
    return read_with_the_eyes() | {"aer": round(1 - 11 / 16, 3)}


# the share that is right
@wrong("read_the_map", says="that is the share that is right")
def share_of_the_right():
    return read_with_the_eyes() | {"aer": round(11 / 15, 3)}


# sure ones counted once above the line
@wrong("read_the_map", says="P holds the sure links too")
def sure_ones_counted_once():
    return read_with_the_eyes() | {"aer": round(1 - 6 / 15, 3)}


# links that are not sure, among all
@wrong("read_the_map", says="that is the share of links that are not")
def share_not_sure():
    return read_with_the_eyes() | {"aer": round(1 - 5 / 8, 3)}


# a percentage
@wrong("read_the_map", says="that is in percent")
def percent():
    return read_with_the_eyes() | {"aer": 26.7}


# two places only
@wrong("read_the_map", says="those are two places")
def two_places_only():
    return read_with_the_eyes() | {"aer": 0.27}


# not a dictionary
@wrong("read_the_map", says="it returns a dictionary with four names")
def a_tuple():
    return LINKS, 5, 6, 0.267


# the error rate is not told
@wrong("read_the_map", says="it returns a dictionary with four names")
def no_aer():
    return {"places": LINKS, "sure_found": 5, "possible_found": 6}


# shares for numbers
@wrong("read_the_map", says="a share; how many is asked for")
def shares_for_counts():
    return read_with_the_eyes() | {"sure_found": 5 / 7, "possible_found": 6 / 8}


# ---------------------------------------------------------------- 3.3 look


def _softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@right("look")
def look_mended(state, annotations, mask, W, U, v):
    keys = annotations @ U
    scores = np.tanh((state @ W)[:, None, :] + keys) @ v
    weights = _softmax(np.where(mask, scores, -np.inf), axis=1)
    return np.einsum("bs,bsd->bd", weights, annotations), weights


@right("look")
def look_in_loops(state, annotations, mask, W, U, v):
    B, S, D = annotations.shape
    context, weights = np.zeros((B, D)), np.zeros((B, S))
    for b in range(B):
        places = [j for j in range(S) if mask[b, j]]
        scores = [float(v @ np.tanh(state[b] @ W + annotations[b, j] @ U)) for j in places]
        parts = [math.exp(e - max(scores)) for e in scores]
        for j, part in zip(places, parts, strict=True):
            weights[b, j] = part / sum(parts)
            context[b] += weights[b, j] * annotations[b, j]
    return context, weights


@right("look")
def look_by_torch(state, annotations, mask, W, U, v):
    import torch

    state, annotations, mask, W, U, v = (
        torch.as_tensor(np.array(x)) for x in (state, annotations, mask, W, U, v)
    )
    scores = torch.tanh((state @ W).unsqueeze(1) + annotations @ U) @ v
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=1)
    return [torch.bmm(weights.unsqueeze(1), annotations).squeeze(1).numpy(), weights.numpy()]


@right("look")
def look_with_a_large_negative(state, annotations, mask, W, U, v):
    query = np.einsum("bh,ha->ba", state, W)
    keys = np.einsum("bsd,da->bsa", annotations, U)
    scores = np.einsum("bsa,a->bs", np.tanh(query[:, None] + keys), v) + (mask - 1.0) * 1e9
    weights = _softmax(scores)
    return (weights[:, None, :] @ annotations)[:, 0], weights


# the copy of the batch's keys, as found
@wrong("look", says="a key that is not made from the annotations")
def look_unchanged(state, annotations, mask, W, U, v):
    total = np.tanh((state @ W)[:, None] + U[: annotations.shape[1]])
    weights = _softmax(np.where(mask, total @ v, -np.inf))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# an axis for the batch, but still rows of U
@wrong("look", says="a key that is not made from the annotations")
def axis_for_the_batch_only(state, annotations, mask, W, U, v):
    B, S, _ = annotations.shape
    keys = np.repeat(U[None, :S], B, axis=0)
    weights = _softmax(np.where(mask, np.tanh((state @ W)[:, None] + keys) @ v, -np.inf))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


def _look_with(keys, state, annotations, mask, W, v):
    weights = _softmax(np.where(mask, np.tanh((state @ W)[:, None] + keys) @ v, -np.inf))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# the rows of U are left in the keys
@wrong("look", says="rows of U are still in the keys")
def rows_of_U_left_in(state, annotations, mask, W, U, v):
    keys = annotations @ U + U[: annotations.shape[1]]
    return _look_with(keys, state, annotations, mask, W, v)


# the keys of the first sentence
@wrong("look", says="keys of the first sentence for all")
def keys_of_the_first_sentence(state, annotations, mask, W, U, v):
    return _look_with(annotations[0] @ U, state, annotations, mask, W, v)


# the keys' mean over the batch: an axis of (S,A), as found
@wrong("look", says="one set of keys for the batch, their mean")
def keys_averaged_over_the_batch(state, annotations, mask, W, U, v):
    return _look_with((annotations @ U).mean(axis=0), state, annotations, mask, W, v)


# one key a sentence
@wrong("look", says="one key for all words of a sentence")
def one_key_a_sentence(state, annotations, mask, W, U, v):
    keys = (annotations.mean(axis=1) @ U)[:, None]
    return _look_with(keys, state, annotations, mask, W, v)


# the query is gone
@wrong("look", says="the query has no say")
def look_without_query(state, annotations, mask, W, U, v):
    return _look_with(annotations @ U, 0 * state, annotations, mask, W, v)


# the query has no axis for the source
@wrong("look", says="word j is asked by the state of sentence")
def query_without_source_axis(state, annotations, mask, W, U, v):
    scores = np.tanh(state @ W + annotations @ U) @ v
    weights = _softmax(np.where(mask, scores, -np.inf))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


def _scores(state, annotations, W, U, v):
    return np.tanh((state @ W)[:, None] + annotations @ U) @ v


# the mask is gone
@wrong("look", says="the mask is not used")
def look_without_mask(state, annotations, mask, W, U, v):
    weights = _softmax(_scores(state, annotations, W, U, v))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# the mask upside down
@wrong("look", says="the mask was read the wrong way")
def look_with_inverted_mask(state, annotations, mask, W, U, v):
    weights = _softmax(np.where(mask, -1e9, _scores(state, annotations, W, U, v)))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# the mask after the softmax
@wrong("look", says="the mask was laid on the weights")
def look_mask_after_softmax(state, annotations, mask, W, U, v):
    weights = _softmax(_scores(state, annotations, W, U, v)) * mask
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# scores of padding set to 0
@wrong("look", says="scores of padding were set to 0")
def look_mask_makes_zero(state, annotations, mask, W, U, v):
    weights = _softmax(_scores(state, annotations, W, U, v) * mask)
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# softmax over the batch
@wrong("look", says="softmax over the sentences of the batch")
def look_softmax_over_batch(state, annotations, mask, W, U, v):
    scores = np.where(mask, _scores(state, annotations, W, U, v), -1e9)
    weights = _softmax(scores, axis=0)
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# the two results in the other order
@wrong("look", says="the two in the other order")
def look_results_swapped(state, annotations, mask, W, U, v):
    context, weights = look_mended(state, annotations, mask, W, U, v)
    return weights, context


# the context is made of the keys
@wrong("look", says="weights laid on the projected keys U h")
def context_of_keys(state, annotations, mask, W, U, v):
    _, weights = look_mended(state, annotations, mask, W, U, v)
    return np.einsum("bs,bsa->ba", weights, annotations @ U), weights


# the context is a plain mean
@wrong("look", says="the plain mean of all annotations")
def context_is_a_mean(state, annotations, mask, W, U, v):
    _, weights = look_mended(state, annotations, mask, W, U, v)
    return annotations.mean(axis=1), weights


# the context is a plain sum of the real ones
@wrong("look", says="the plain sum of the real words' annotations")
def context_is_a_sum(state, annotations, mask, W, U, v):
    _, weights = look_mended(state, annotations, mask, W, U, v)
    return (annotations * mask[..., None]).sum(axis=1), weights


# the weights from the mended keys, the context still with the old ones
@wrong("look", says="other weights than those returned, or something else than")
def context_with_the_old_weights(state, annotations, mask, W, U, v):
    context, _ = look_unchanged(state, annotations, mask, W, U, v)
    return context, look_mended(state, annotations, mask, W, U, v)[1]


# no tanh any more
@wrong("look", says="the tanh is gone")
def look_without_tanh(state, annotations, mask, W, U, v):
    scores = ((state @ W)[:, None] + annotations @ U) @ v
    weights = _softmax(np.where(mask, scores, -np.inf))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


# scores for weights
@wrong("look", says="those are the scores")
def scores_for_weights(state, annotations, mask, W, U, v):
    context, _ = look_mended(state, annotations, mask, W, U, v)
    return context, np.where(mask, _scores(state, annotations, W, U, v), 0)


# padding is written over in the argument
@wrong("look", says="an assignment into annotations")
def padding_written_over(state, annotations, mask, W, U, v):
    annotations[~mask] = 0
    return look_mended(state, annotations, mask, W, U, v)


# right unless the batch holds one sentence
@wrong("look", says="np.squeeze takes away every axis of length 1")
def squeezed_context(state, annotations, mask, W, U, v):
    scores = np.where(mask, np.tanh((state @ W)[:, None] + annotations @ U) @ v, -np.inf)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = powers / powers.sum(axis=1, keepdims=True)
    return np.squeeze(weights[:, None] @ annotations), weights


# ---------------------------------------------------------------- 3.4 bahdanau_step


@right("bahdanau_step")
def step_with_einsum(word, state, annotations, mask, score, cell, readout):
    weights = _softmax(np.where(mask, score(state, annotations), -np.inf))
    context = np.einsum("bs,bsd->bd", weights, annotations)
    new_state = cell(np.concatenate([word, context], axis=1), state)
    logits = readout(np.concatenate([new_state, context, word], axis=1))
    return logits, new_state, weights


@right("bahdanau_step")
def step_in_loops(word, state, annotations, mask, score, cell, readout):
    scores = np.asarray(score(state, annotations))
    weights = np.zeros(scores.shape)
    context = np.zeros((len(scores), annotations.shape[2]))
    for b, row in enumerate(scores):
        top = max(e for e, real in zip(row, mask[b], strict=True) if real)
        for j, e in enumerate(row):
            if mask[b, j]:
                weights[b, j] = math.exp(e - top)
        weights[b] /= weights[b].sum()
        for j in range(len(row)):
            context[b] += weights[b, j] * annotations[b, j]
    new_state = cell(np.hstack([word, context]), state)
    return [readout(np.hstack([new_state, context, word])), new_state, weights]


@right("bahdanau_step")
def step_with_logsumexp(word, state, annotations, mask, score, cell, readout):
    scores = np.where(mask, score(state, annotations), -np.inf)
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    context = (weights[..., None] * annotations).sum(axis=1)
    new_state = cell(np.c_[word, context], state)
    return readout(np.c_[new_state, context, word]), new_state, weights


@right("bahdanau_step")
def step_with_padding_emptied(word, state, annotations, mask, score, cell, readout):
    import torch

    emptied = annotations * mask[:, :, None]
    scores = torch.as_tensor(np.array(score(state, emptied)), dtype=torch.float64)
    scores = scores.masked_fill(torch.as_tensor(~mask), -1e30)
    weights = torch.softmax(scores, dim=1).numpy()
    context = (weights[:, None] @ emptied).squeeze(axis=1)
    new_state = cell(np.concatenate((word, context), axis=-1), state)
    logits = readout(np.concatenate((new_state, context, word), axis=-1))
    return logits, new_state, weights


def _ask(query, annotations, mask, score):
    weights = _softmax(np.where(mask, score(query, annotations), -np.inf))
    return np.einsum("bs,bsd->bd", weights, annotations), weights


def _move_and_say(word, state, context, weights, cell, readout):
    new_state = cell(np.hstack([word, context]), state)
    return readout(np.hstack([new_state, context, word])), new_state, weights


# moves with an empty context and asks with the new state
@wrong("bahdanau_step", says="the new state asked, made without a context")
def moves_before_it_asks(word, state, annotations, mask, score, cell, readout):
    nothing = np.zeros((len(word), annotations.shape[2]))
    new_state = cell(np.hstack([word, nothing]), state)
    context, weights = _ask(new_state, annotations, mask, score)
    return readout(np.hstack([new_state, context, word])), new_state, weights


# asks again after the move, and says with that
@wrong("bahdanau_step", says="the new state asked")
def asks_again_after_the_move(word, state, annotations, mask, score, cell, readout):
    context, _ = _ask(state, annotations, mask, score)
    new_state = cell(np.hstack([word, context]), state)
    context, weights = _ask(new_state, annotations, mask, score)
    return readout(np.hstack([new_state, context, word])), new_state, weights


# only the returned weights are those of the new state
@wrong("bahdanau_step", says="the new state asked")
def weights_of_the_next_step(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    logits, new_state, _ = _move_and_say(word, state, context, weights, cell, readout)
    return logits, new_state, _ask(new_state, annotations, mask, score)[1]


# moves twice
@wrong("bahdanau_step", says="the cell was asked twice")
def moves_twice(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    middle = cell(np.hstack([word, context]), state)
    return _move_and_say(word, middle, context, weights, cell, readout)


# the cell reads [context; word]
@wrong("bahdanau_step", says="the cell reads [context")
def cell_reads_context_first(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = cell(np.hstack([context, word]), state)
    return readout(np.hstack([new_state, context, word])), new_state, weights


# the cell does not read the context
@wrong("bahdanau_step", says="cell reads [word; context], (B,3), and was given")
def cell_without_context(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = cell(word, state)
    return readout(np.hstack([new_state, context, word])), new_state, weights


# the arguments of the cell in the other order
@wrong("bahdanau_step", says="cell reads [word; context], (B,3), and was given")
def cell_arguments_swapped(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = cell(state, np.hstack([word, context]))
    return readout(np.hstack([new_state, context, word])), new_state, weights


# the readout sees the old state
@wrong("bahdanau_step", says="the readout got [state; context; word]")
def readout_sees_the_old_state(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = cell(np.hstack([word, context]), state)
    return readout(np.hstack([state, context, word])), new_state, weights


# the readout sees the word before the context
@wrong("bahdanau_step", says="the readout got [new_state; word; context]")
def readout_word_before_context(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = cell(np.hstack([word, context]), state)
    return readout(np.hstack([new_state, word, context])), new_state, weights


# the readout's input in the cell's order
@wrong("bahdanau_step", says="the readout got [word; context; new_state]")
def readout_word_first(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = cell(np.hstack([word, context]), state)
    return readout(np.hstack([word, context, new_state])), new_state, weights


# the readout sees the state only
@wrong("bahdanau_step", says="readout reads [new_state; context; word]")
def readout_of_the_state_only(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = cell(np.hstack([word, context]), state)
    return readout(new_state), new_state, weights


# no mask
@wrong("bahdanau_step", says="the mask is not used")
def step_without_mask(word, state, annotations, mask, score, cell, readout):
    weights = _softmax(score(state, annotations))
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# the mask after the softmax
@wrong("bahdanau_step", says="the mask was laid on the weights")
def step_mask_after_softmax(word, state, annotations, mask, score, cell, readout):
    weights = _softmax(score(state, annotations)) * mask
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# scores of padding set to 0
@wrong("bahdanau_step", says="scores of padding were set to 0")
def step_mask_makes_zero(word, state, annotations, mask, score, cell, readout):
    weights = _softmax(score(state, annotations) * mask)
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# True taken for padding
@wrong("bahdanau_step", says="the mask was read the wrong way")
def step_mask_inverted(word, state, annotations, mask, score, cell, readout):
    weights = _softmax(np.where(mask, -1e9, score(state, annotations)))
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# the context is right, the returned weights are those before the mask
@wrong("bahdanau_step", says="the mask is not used")
def unmasked_weights_returned(word, state, annotations, mask, score, cell, readout):
    context, _ = _ask(state, annotations, mask, score)
    weights = _softmax(score(state, annotations))
    return _move_and_say(word, state, context, weights, cell, readout)


# no largest subtracted
@wrong("bahdanau_step", says="exp(1000) overflows")
def step_overflows(word, state, annotations, mask, score, cell, readout):
    e = np.exp(score(state, annotations)) * mask
    weights = e / e.sum(axis=1, keepdims=True)
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# one largest for the whole batch
@wrong("bahdanau_step", says="one score for the whole batch was subtracted")
def one_largest_for_the_batch(word, state, annotations, mask, score, cell, readout):
    scores = np.where(mask, score(state, annotations), -np.inf)
    e = np.exp(scores - scores.max())
    weights = e / e.sum(axis=1, keepdims=True)
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# the largest may be a padding's
@wrong("bahdanau_step", says="padding's score was the largest and was subtracted")
def largest_with_padding(word, state, annotations, mask, score, cell, readout):
    scores = score(state, annotations)
    e = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask
    weights = e / e.sum(axis=1, keepdims=True)
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# large scores cut off
@wrong("bahdanau_step", says="large scores were cut off")
def scores_cut_off(word, state, annotations, mask, score, cell, readout):
    e = np.exp(np.clip(score(state, annotations), -50, 50)) * mask
    weights = e / e.sum(axis=1, keepdims=True)
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# softmax over the batch
@wrong("bahdanau_step", says="softmax over the sentences of the batch")
def step_softmax_over_batch(word, state, annotations, mask, score, cell, readout):
    weights = _softmax(np.where(mask, score(state, annotations), -1e9), axis=0)
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# the scores themselves as weights
@wrong("bahdanau_step", says="those are the scores")
def step_without_softmax(word, state, annotations, mask, score, cell, readout):
    weights = np.where(mask, score(state, annotations), 0)
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# only the annotation with the largest score
@wrong("bahdanau_step", says="the largest score has all the weight")
def only_the_largest(word, state, annotations, mask, score, cell, readout):
    best = np.where(mask, score(state, annotations), -np.inf).argmax(axis=1)
    weights = np.eye(mask.shape[1])[best]
    context = np.einsum("bs,bsd->bd", weights, annotations)
    return _move_and_say(word, state, context, weights, cell, readout)


# the mean of the annotations is the context
@wrong("bahdanau_step", says="the context is the plain mean")
def step_context_is_a_mean(word, state, annotations, mask, score, cell, readout):
    _, weights = _ask(state, annotations, mask, score)
    return _move_and_say(word, state, annotations.mean(axis=1), weights, cell, readout)


# probabilities for logits
@wrong("bahdanau_step", says="softmax of the logits")
def probabilities_for_logits(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    logits, *rest = _move_and_say(word, state, context, weights, cell, readout)
    return _softmax(logits), *rest


# state first, as a cell returns it
@wrong("bahdanau_step", says="those are the logits")
def state_returned_first(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    logits, new_state, _ = _move_and_say(word, state, context, weights, cell, readout)
    return new_state, logits, weights


# the old state is returned
@wrong("bahdanau_step", says="the state did not go through the cell")
def old_state_returned(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    logits, _, _ = _move_and_say(word, state, context, weights, cell, readout)
    return logits, state, weights


# the context for the weights
@wrong("bahdanau_step", says="that is the context")
def context_returned(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    logits, new_state, _ = _move_and_say(word, state, context, weights, cell, readout)
    return logits, new_state, context


# the state is added once more
@wrong("bahdanau_step", says="the state before was added")
def state_added_once_more(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    new_state = state + cell(np.hstack([word, context]), state)
    return readout(np.hstack([new_state, context, word])), new_state, weights


# the state is overwritten in place
@wrong("bahdanau_step", says="an assignment into state")
def state_overwritten(word, state, annotations, mask, score, cell, readout):
    context, weights = _ask(state, annotations, mask, score)
    state[:] = cell(np.hstack([word, context]), state)
    return readout(np.hstack([state, context, word])), state, weights


# ---------------------------------------------------------------- 3.5 read_both_ways


@right("read_both_ways")
def sentence_by_sentence(inputs, lengths, forward, backward, H):
    B, S, _ = inputs.shape
    annotations, ends = np.zeros((B, S, 2 * H)), np.zeros((B, 2 * H))
    for b in range(B):
        state = np.zeros((1, H))
        for t in range(lengths[b]):
            state = forward(inputs[b : b + 1, t], state)
            annotations[b, t, :H] = state[0]
        ends[b, :H] = state[0]
        state = np.zeros((1, H))
        for t in reversed(range(lengths[b])):
            state = backward(inputs[b : b + 1, t], state)
            annotations[b, t, H:] = state[0]
        ends[b, H:] = state[0]
    return annotations, ends


@right("read_both_ways")
def states_that_wait(inputs, lengths, forward, backward, H):
    B, S, _ = inputs.shape
    real = np.arange(S) < np.asarray(lengths)[:, None]
    halves, ends = [], []
    for step, places in ((forward, range(S)), (backward, range(S - 1, -1, -1))):
        state, half = np.zeros((B, H)), np.zeros((B, S, H))
        for t in places:
            here = real[:, t, None]
            state = np.where(here, step(inputs[:, t], state), state)
            half[:, t] = state * here
        halves.append(half)
        ends.append(state)
    return np.concatenate(halves, axis=2), np.concatenate(ends, axis=1)


@right("read_both_ways")
def turned_by_index(inputs, lengths, forward, backward, H):
    B, S, _ = inputs.shape
    rows, n = np.arange(B), np.array(lengths)
    back = np.where(np.arange(S) < n[:, None], n[:, None] - 1 - np.arange(S), np.arange(S))

    def run(step, x):
        states = [np.zeros((B, H))]
        for t in range(S):
            states.append(step(x[:, t], states[-1]))
        return np.stack(states[1:], axis=1)

    there = run(forward, inputs)
    home = run(backward, np.take_along_axis(inputs, back[..., None], axis=1))
    ends = np.hstack([there[rows, n - 1], home[rows, n - 1]])
    home = np.take_along_axis(home, back[..., None], axis=1)
    both = np.concatenate([there, home], axis=-1)
    both[np.arange(S) >= n[:, None]] = 0
    return both, ends


@right("read_both_ways")
def only_the_rows_that_go_on(inputs, lengths, forward, backward, H):
    B, S, _ = inputs.shape
    lengths = np.asarray(lengths)
    f, g = np.zeros((B, H)), np.zeros((B, H))
    annotations = np.zeros((B, S, 2 * H))
    for t in range(lengths.max()):
        go = np.flatnonzero(lengths > t)
        f[go] = forward(inputs[go, t], f[go])
        annotations[go, t, :H] = f[go]
    for t in range(lengths.max() - 1, -1, -1):
        go = lengths > t
        g[go] = backward(inputs[go, t], g[go])
        annotations[go, t, H:] = g[go]
    return [annotations, np.c_[f, g]]


def _all_states(step, x, H):
    state, states = np.zeros((len(x), H)), []
    for t in range(x.shape[1]):
        state = step(x[:, t], state)
        states.append(state)
    return np.stack(states, axis=1)


def _real(inputs, lengths):
    return (np.arange(inputs.shape[1]) < lengths[:, None])[..., None]


def _ends_of(f, g, lengths):
    return np.hstack([f[np.arange(len(f)), lengths - 1], g[:, 0]])


# the way back begins in the padding
@wrong("read_both_ways", says="reading backwards began in the padding")
def begins_in_the_padding(inputs, lengths, forward, backward, H):
    f = _all_states(forward, inputs, H)
    g = _all_states(backward, inputs[:, ::-1], H)[:, ::-1]
    both = np.concatenate([f, g], axis=2) * _real(inputs, lengths)
    return both, _ends_of(f, g, lengths)


# padding made zeros, and still read
@wrong("read_both_ways", says="padding was set to 0 and still read, which")
def zeros_are_read_too(inputs, lengths, forward, backward, H):
    return begins_in_the_padding(inputs * _real(inputs, lengths), lengths, forward, backward, H)


# the states of the way back are not turned round again
@wrong("read_both_ways", says="the backward states stand in the order in which")
def not_turned_round_again(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    both = both.copy()
    for b, n in enumerate(lengths):
        both[b, :n, H:] = both[b, :n, H:][::-1].copy()
    return both, ends


# turned round over the whole width
@wrong("read_both_ways", says="turn each row by its own length")
def turned_over_the_whole_width(inputs, lengths, forward, backward, H):
    right_one, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    both = right_one.copy()
    for b, n in enumerate(lengths):
        both[b, :, H:] = 0
        both[b, inputs.shape[1] - n :, H:] = right_one[b, :n, H:]
    return both, ends


# the way back reads forward
@wrong("read_both_ways", says="the second net reads from left to right")
def way_back_reads_forward(inputs, lengths, forward, backward, H):
    f, g = _all_states(forward, inputs, H), _all_states(backward, inputs, H)
    both = np.concatenate([f, g], axis=2) * _real(inputs, lengths)
    return both, both[np.arange(len(f)), lengths - 1]


# the ends are the annotation of the last place
@wrong("read_both_ways", says="annotations[:, −1] is no end")
def ends_at_the_last_place(inputs, lengths, forward, backward, H):
    both, _ = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return both, both[:, -1]


# the ends are the annotation of the last token
@wrong("read_both_ways", says="the backward net ends at the *first* token")
def ends_at_the_last_token(inputs, lengths, forward, backward, H):
    both, _ = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return both, both[np.arange(len(both)), lengths - 1]


# the ends are the annotation of the first token
@wrong("read_both_ways", says="the forward net ends at the last real token")
def ends_at_the_first_token(inputs, lengths, forward, backward, H):
    both, _ = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return both, both[:, 0]


# the forward end at the last place, the backward one at the first
@wrong("read_both_ways", says="zeros for the forward end of short rows")
def forward_end_at_the_last_place(inputs, lengths, forward, backward, H):
    both, _ = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return both, np.hstack([both[:, -1, :H], both[:, 0, H:]])


# the forward net reads the padding after the last token
@wrong("read_both_ways", says="the forward net went on into the padding")
def forward_end_has_read_padding(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return both, np.hstack([_all_states(forward, inputs, H)[:, -1], ends[:, H:]])


# padding has the last state
@wrong("read_both_ways", says="states of padding that were not taken out")
def padding_keeps_the_last_state(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    both = both.copy()
    for b, n in enumerate(lengths):
        both[b, n:, :H] = ends[b, :H]
    return both, ends


# the forward states of padding are left
@wrong("read_both_ways", says="states of padding that were not taken out")
def padding_not_zeroed(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    f = _all_states(forward, inputs, H)
    return np.concatenate([f, both[..., H:]], axis=2), ends


# the state is set to zero in padding instead of waiting
@wrong("read_both_ways", says="zeros for the forward end of short rows")
def state_zeroed_in_padding(inputs, lengths, forward, backward, H):
    B, S, _ = inputs.shape
    real = _real(inputs, lengths)
    f = g = np.zeros((B, H))
    both = np.zeros((B, S, 2 * H))
    for t in range(S):
        f = forward(inputs[:, t], f) * real[:, t]
        both[:, t, :H] = f
    for t in reversed(range(S)):
        g = backward(inputs[:, t], g) * real[:, t]
        both[:, t, H:] = g
    return both, np.hstack([f, g])


# [backward; forward] in the annotations
@wrong("read_both_ways", says="the halves are swapped")
def halves_swapped(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return np.concatenate([both[..., H:], both[..., :H]], axis=2), ends


# [backward; forward] in the ends
@wrong("read_both_ways", says="the halves are swapped")
def ends_swapped(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return both, np.hstack([ends[:, H:], ends[:, :H]])


# one net for both ways
@wrong("read_both_ways", says="both halves come from one net")
def one_net_for_both(inputs, lengths, forward, backward, H):
    return sentence_by_sentence(inputs, lengths, forward, forward, H)


# the two nets in each other's place
@wrong("read_both_ways", says="the two nets have changed places")
def nets_swapped(inputs, lengths, forward, backward, H):
    return sentence_by_sentence(inputs, lengths, backward, forward, H)


# the way back begins with the state of the way there
@wrong("read_both_ways", says="the way back begins with zeros, not with the")
def way_back_begins_with_the_end(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    both, ends = both.copy(), ends.copy()
    for b, n in enumerate(lengths):
        state = ends[b : b + 1, :H]
        for t in reversed(range(n)):
            state = backward(inputs[b : b + 1, t], state)
            both[b, t, H:] = state[0]
        ends[b, H:] = state[0]
    return both, ends


# the state goes on from sentence to sentence
@wrong("read_both_ways", says="each sentence begins with zeros, not with the end")
def state_goes_on_to_the_next_sentence(inputs, lengths, forward, backward, H):
    B, S, _ = inputs.shape
    both, ends = np.zeros((B, S, 2 * H)), np.zeros((B, 2 * H))
    f, g = np.zeros((1, H)), np.zeros((1, H))
    for b, n in enumerate(lengths):
        for t in range(n):
            f = forward(inputs[b : b + 1, t], f)
            both[b, t, :H] = f[0]
        for t in reversed(range(n)):
            g = backward(inputs[b : b + 1, t], g)
            both[b, t, H:] = g[0]
        ends[b] = np.r_[f[0], g[0]]
    return both, ends


# the state before the token is read
@wrong("read_both_ways", says="the states *before* each token was read")
def state_before_reading(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    shifted = np.zeros_like(both)
    shifted[:, 1:, :H] = both[:, :-1, :H]
    shifted[:, :-1, H:] = both[:, 1:, H:]
    return shifted * _real(inputs, lengths), ends


# the first token is not read on the way back
@wrong("read_both_ways", says="the way back leaves out the first token")
def first_token_not_read(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    both, ends = both.copy(), ends.copy()
    if inputs.shape[1] > 1:
        ends[:, H:] = both[:, 1, H:]
    both[:, 0, H:] = 0
    return both, ends


# the longest length for all
@wrong("read_both_ways", says="all places were read, padding too")
def longest_length_for_all(inputs, lengths, forward, backward, H):
    return sentence_by_sentence(inputs, np.full_like(lengths, max(lengths)), forward, backward, H)


# the sum of the two
@wrong("read_both_ways", says="halves are joined, not added")
def sum_of_the_two(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    return both[..., :H] + both[..., H:], ends[:, :H] + ends[:, H:]


# only the annotations
@wrong("read_both_ways", says="no `return annotations, ends`")
def no_ends(inputs, lengths, forward, backward, H):
    return sentence_by_sentence(inputs, lengths, forward, backward, H)[0]


# the arguments of a step in the other order
@wrong("read_both_ways", says="steps were called as step(state, x)")
def step_arguments_swapped(inputs, lengths, forward, backward, H):
    return sentence_by_sentence(
        inputs, lengths, lambda x, h: forward(h, x), lambda x, h: backward(h, x), H
    )


# padding is written over in the argument
@wrong("read_both_ways", says="an assignment into inputs")
def inputs_written_over(inputs, lengths, forward, backward, H):
    for b, n in enumerate(lengths):
        inputs[b, n:] = 0
    return sentence_by_sentence(inputs, lengths, forward, backward, H)


# the way back starts at the token before the last
@wrong("read_both_ways", says="the way back leaves out the last token")
def last_token_skipped_on_the_way_back(inputs, lengths, forward, backward, H):
    both, ends = sentence_by_sentence(inputs, lengths, forward, backward, H)
    both, ends = both.copy(), ends.copy()
    for b, n in enumerate(lengths):
        state = np.zeros((1, H))
        both[b, n - 1, H:] = 0
        for t in range(n - 2, -1, -1):
            state = backward(inputs[b : b + 1, t], state)
            both[b, t, H:] = state[0]
        ends[b, H:] = state[0]
    return both, ends


# ---------------------------------------------------------------- 3.6 find_the_fakes


@right("find_the_fakes")
def three_rows(suspects, query_size, annotation_size):
    rng = np.random.default_rng(1)
    query = rng.standard_normal((3, query_size))
    annotations = rng.standard_normal((3, 5, annotation_size))
    query[1], annotations[2] = query[0], annotations[0]
    mask = np.ones((3, 5), dtype=bool)
    mask[:, -1] = False
    names = []
    for attend in suspects:
        context, weights = attend(query, annotations, mask)
        if not np.allclose(weights.sum(axis=1), 1):
            names.append("rows mixed")
        elif not np.allclose(weights[:, -1], 0):
            names.append("pads attended")
        elif not np.allclose(np.einsum("bs,bsd->bd", weights, annotations), context):
            names.append("context from the decoder")
        elif np.allclose(weights[0], weights[1]):
            names.append("blind weights")
        elif np.allclose(weights[0], weights[2]):
            names.append("deaf weights")
        else:
            names.append("real")
    return names


@right("find_the_fakes")
def two_rows_and_a_twin(suspects, query_size, annotation_size):
    # the same word stands at two places: only who is blind gives them different weights
    rng = np.random.default_rng(5)
    words = rng.normal(size=(6, annotation_size))
    words[3] = words[0]
    annotations = np.array([words, words])
    query = rng.normal(size=(2, query_size))
    mask = np.array([[True] * 6, [True] * 5 + [False]])

    def judge(context, weights):
        if np.abs(weights.sum(axis=1) - 1).max() > 1e-6:
            return "rows mixed"
        if abs(weights[1, 5]) > 1e-9:
            return "pads attended"
        if np.abs(context - [w @ words for w in weights]).max() > 1e-6:
            return "context from the decoder"
        if abs(weights[0, 0] - weights[0, 3]) > 1e-6:
            return "blind weights"
        if np.ptp(weights[0, :5] / weights[1, :5]) < 1e-6:
            return "deaf weights"
        return "real"

    return [judge(*attend(query, annotations, mask)) for attend in suspects]


@right("find_the_fakes")
def many_rows(suspects, query_size, annotation_size):
    rng = np.random.default_rng()
    S = 9
    queries = rng.uniform(-1.5, 1.5, (4, query_size))
    sources = rng.uniform(-1.5, 1.5, (4, S, annotation_size))
    query = np.repeat(queries, 4, axis=0)
    annotations = np.concatenate([sources] * 4)
    mask = np.ones((16, S), dtype=bool)
    mask[:, S - 3 :] = False
    names = []
    for suspect in suspects:
        context, weights = (np.asarray(x) for x in suspect(query, annotations, mask))
        table = weights.reshape(4, 4, S)
        name = "real"
        if np.ptp(table, axis=1).max() < 1e-8:
            name = "blind weights"
        if np.ptp(table, axis=0).max() < 1e-8:
            name = "deaf weights"
        if np.abs((weights[:, None] @ annotations)[:, 0] - context).max() > 1e-8:
            name = "context from the decoder"
        if np.abs(weights[~mask]).max() > 1e-8:
            name = "pads attended"
        if not np.abs(weights.sum(axis=1) - 1).max() < 1e-8:
            name = "rows mixed"
        names.append(name)
    return tuple(names)


@right("find_the_fakes")
def a_row_for_every_question(suspects, query_size, annotation_size):
    q, other_q = np.linspace(-1, 1, query_size), np.cos(np.arange(query_size) + 0.5)
    a = np.sin(np.arange(4 * annotation_size) * 1.7).reshape(4, annotation_size)
    other_a = np.cos(np.arange(4 * annotation_size) * 0.9).reshape(4, annotation_size)
    query = np.array([q, q, other_q, q])
    annotations = np.array([a, other_a, a, a])
    mask = np.array([[True] * 4] * 3 + [[True, True, False, False]])
    names = []
    for attend in suspects:
        context, w = attend(query, annotations, mask)
        facts = {
            "rows mixed": any(abs(sum(row) - 1) > 1e-6 for row in w),
            "pads attended": w[3, 2] + w[3, 3] > 1e-6,
            "context from the decoder": not np.allclose(context[0], w[0] @ a, atol=1e-6),
            "blind weights": np.allclose(w[0], w[1], atol=1e-6),
            "deaf weights": np.allclose(w[0], w[2], atol=1e-6),
            "real": True,
        }
        names.append(next(name for name, holds in facts.items() if holds))
    return names


def _probe(query_size, annotation_size, S=5, padded=1, seed=1):
    rng = np.random.default_rng(seed)
    query = rng.standard_normal((3, query_size))
    annotations = rng.standard_normal((3, S, annotation_size))
    query[1], annotations[2] = query[0], annotations[0]
    mask = np.ones((3, S), dtype=bool)
    mask[:, S - padded :] = False
    return query, annotations, mask


def _judge(context, weights, annotations, mask, tolerance=1e-8, skip=()):
    made = np.einsum("bs,bsd->bd", weights, annotations)
    facts = {
        "rows mixed": not np.abs(weights.sum(axis=1) - 1).max() <= tolerance,
        "pads attended": (np.abs(weights[~mask]) > tolerance).any(),
        "context from the decoder": np.abs(made - context).max() > tolerance,
        "blind weights": np.abs(weights[0] - weights[1]).max() <= tolerance,
        "deaf weights": np.abs(weights[0] - weights[2]).max() <= tolerance,
        "real": True,
    }
    return next(name for name, holds in facts.items() if holds and name not in skip)


def _names(suspects, query_size, annotation_size, tolerance=1e-8, skip=(), **probe):
    query, annotations, mask = _probe(query_size, annotation_size, **probe)
    return [
        _judge(*attend(query, annotations, mask), annotations, mask, tolerance, skip)
        for attend in suspects
    ]


# a call for every question
@wrong("find_the_fakes", says="one call for each")
def called_three_times(suspects, query_size, annotation_size):
    query, annotations, mask = _probe(query_size, annotation_size)
    names = []
    for attend in suspects:
        context, weights = attend(query, annotations, mask)
        _, other_source = attend(query, annotations[::-1].copy(), mask)
        _, other_query = attend(query[::-1].copy(), annotations, mask)
        rows = np.stack([weights[0], other_source[0], other_query[0]])
        blind = np.allclose(rows[0], rows[1])
        deaf = np.allclose(rows[0], rows[2])
        name = _judge(context, weights, annotations, mask)
        names.append("blind weights" if blind else "deaf weights" if deaf else name)
    return names


# everybody is innocent
@wrong("find_the_fakes", says="a verdict without a question, or an error of")
def all_real(suspects, query_size, annotation_size):
    return ["real"] * len(suspects)


# a guess without a call
@wrong("find_the_fakes", says="a verdict without a question, or an error of")
def guessed(suspects, query_size, annotation_size):
    return ["real", "blind weights", "deaf weights", "pads attended"]


# no place is masked
@wrong("find_the_fakes", says="the missing question: a masked place")
def no_masked_place(suspects, query_size, annotation_size):
    query, annotations, mask = _probe(query_size, annotation_size)
    return [
        _judge(*attend(query, annotations, mask | True), annotations, mask | True)
        for attend in suspects
    ]


# the mask upside down in the probe
@wrong("find_the_fakes", says="where the mask is True, which is a word's")
def mask_of_the_probe_inverted(suspects, query_size, annotation_size):
    query, annotations, mask = _probe(query_size, annotation_size, padded=2)
    return [_judge(*attend(query, annotations, ~mask), annotations, mask) for attend in suspects]


# blind and deaf mixed up
@wrong("find_the_fakes", says="blind and deaf mixed up")
def blind_and_deaf_mixed_up(suspects, query_size, annotation_size):
    other = {"blind weights": "deaf weights", "deaf weights": "blind weights"}
    names = _names(suspects, query_size, annotation_size)
    return [other.get(name, name) for name in names]


# the source is never changed
@wrong("find_the_fakes", says="same query, other annotations; its weights stay")
def source_never_changed(suspects, query_size, annotation_size):
    return _names(suspects, query_size, annotation_size, skip=("blind weights",))


# the query is never changed
@wrong("find_the_fakes", says="same annotations, another query; its weights stay")
def query_never_changed(suspects, query_size, annotation_size):
    return _names(suspects, query_size, annotation_size, skip=("deaf weights",))


# the sums are not looked at
@wrong("find_the_fakes", says="along a row its weights do not sum to 1")
def sums_not_looked_at(suspects, query_size, annotation_size):
    return _names(suspects, query_size, annotation_size, skip=("rows mixed",))


# the context is not looked at
@wrong("find_the_fakes", says="of its own weights, is not its context")
def context_not_looked_at(suspects, query_size, annotation_size):
    return _names(suspects, query_size, annotation_size, skip=("context from the decoder",))


# sums over the batch
@wrong("find_the_fakes", says="sums down the batch")
def sums_over_the_batch(suspects, query_size, annotation_size):
    query, annotations, mask = _probe(query_size, annotation_size)
    names = []
    for attend in suspects:
        context, weights = attend(query, annotations, mask)
        mixed = not np.allclose(weights.sum(axis=0), 1)
        names.append("rows mixed" if mixed else _judge(context, weights, annotations, mask))
    return names


# blindness looked for in the context
@wrong("find_the_fakes", says="same query, other annotations; its weights stay")
def blindness_looked_for_in_the_context(suspects, query_size, annotation_size):
    query, annotations, mask = _probe(query_size, annotation_size)
    names = []
    for attend in suspects:
        context, weights = attend(query, annotations, mask)
        name = _judge(context, weights, annotations, mask, skip=("blind weights",))
        names.append("blind weights" if np.allclose(context[0], context[1]) else name)
    return names


# query and source changed at once
@wrong("find_the_fakes", says="the missing question")
def both_changed_at_once(suspects, query_size, annotation_size):
    rng = np.random.default_rng(1)
    query = rng.standard_normal((3, query_size))
    annotations = rng.standard_normal((3, 5, annotation_size))
    mask = np.arange(15).reshape(3, 5) % 5 < 4
    return [_judge(*a(query, annotations, mask), annotations, mask) for a in suspects]


# all words alike: a real one is blind
@wrong("find_the_fakes", says="whose words are all alike")
def all_words_alike(suspects, query_size, annotation_size):
    rng = np.random.default_rng(1)
    query = rng.standard_normal((3, query_size))
    query[1] = query[0]
    annotations = np.ones((3, 5, annotation_size)) * np.array([1.0, 0.5, 1.0])[:, None, None]
    mask = np.arange(15).reshape(3, 5) % 5 < 4
    return [_judge(*a(query, annotations, mask), annotations, mask) for a in suspects]


# a batch of one
@wrong("find_the_fakes", says="the missing question")
def batch_of_one(suspects, query_size, annotation_size):
    query, annotations, mask = (x[:1] for x in _probe(query_size, annotation_size))
    names = []
    for attend in suspects:
        context, weights = attend(query, annotations, mask)
        if not np.allclose(weights.sum(), 1):
            names.append("rows mixed")
        elif weights[0, -1] > 1e-8:
            names.append("pads attended")
        elif not np.allclose(weights @ annotations[0], context):
            names.append("context from the decoder")
        else:
            names.append("real")
    return names


# no tolerance
@wrong("find_the_fakes", says="tolerance")
def no_tolerance(suspects, query_size, annotation_size):
    return _names(suspects, query_size, annotation_size, tolerance=0)


# a tolerance that lets all pass
@wrong("find_the_fakes", says="too large a tolerance")
def large_tolerance(suspects, query_size, annotation_size):
    return _names(suspects, query_size, annotation_size, tolerance=1)


# every name once, as if two could not have the same
@wrong("find_the_fakes", says="the same fault a second time")
def every_name_once(suspects, query_size, annotation_size):
    left = {
        "real",
        "blind weights",
        "deaf weights",
        "pads attended",
        "rows mixed",
        "context from the decoder",
    }
    answer = []
    for name in _names(suspects, query_size, annotation_size):
        answer.append(name if name in left else sorted(left)[0])
        left.discard(answer[-1])
    return answer


# sorted
@wrong("find_the_fakes", says="the right names in another order")
def sorted_names(suspects, query_size, annotation_size):
    return sorted(_names(suspects, query_size, annotation_size))


# other names
@wrong("find_the_fakes", says="verdicts are names of the list")
def other_names(suspects, query_size, annotation_size):
    return [n.split()[0] for n in _names(suspects, query_size, annotation_size)]


# only the fakes
@wrong("find_the_fakes", says="it returns four verdicts")
def only_the_fakes(suspects, query_size, annotation_size):
    names = _names(suspects, query_size, annotation_size)
    return {k: name for k, name in enumerate(names) if name != "real"}


# looks only at what moves from row to row, never at a sum nor at the context's make
@wrong("find_the_fakes", says="along a row its weights do not sum to 1")
def moves_are_enough(suspects, query_size, annotation_size):
    query, annotations, mask = _probe(query_size, annotation_size)
    names = []
    for attend in suspects:
        context, weights = attend(query, annotations, mask)
        if np.allclose(weights[0], weights[1]):
            names.append("blind weights")
        elif np.allclose(weights[0], weights[2]):
            names.append("deaf weights")
        elif np.allclose(context[0], context[1]):
            names.append("context from the decoder")
        elif (weights[:, -1] != 0).any():
            names.append("pads attended")
        else:
            names.append("real")
    return names


# ---------------------------------------------------------------- 3.7 additive_backward


@right("additive_backward")
def gradients_in_loops(dscores, s, h, W, U, v):
    ds, dh = np.zeros(s.shape), np.zeros(h.shape)
    dW, dU, dv = np.zeros(W.shape), np.zeros(U.shape), np.zeros(v.shape)
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            unit = np.tanh(s[b] @ W + h[b, j] @ U)
            dtotal = dscores[b, j] * v * (1 - unit**2)
            dv += dscores[b, j] * unit
            ds[b] += W @ dtotal
            dh[b, j] = U @ dtotal
            dW += np.outer(s[b], dtotal)
            dU += np.outer(h[b, j], dtotal)
    return ds, dh, dW, dU, dv


@right("additive_backward")
def gradients_by_einsum(dscores, s, h, W, U, v):
    units = np.tanh(np.einsum("bn,na->ba", s, W)[:, None] + np.einsum("bsm,ma->bsa", h, U))
    back = np.einsum("bs,a,bsa->bsa", dscores, v, 1 - units * units)
    return [
        np.einsum("bsa,na->bn", back, W),
        np.einsum("bsa,ma->bsm", back, U),
        np.einsum("bn,bsa->na", s, back),
        np.einsum("bsm,bsa->ma", h, back),
        np.einsum("bs,bsa->a", dscores, units),
    ]


@right("additive_backward")
def gradients_by_torch(dscores, s, h, W, U, v):
    import torch

    s, h, W, U, v = leaves = [
        torch.tensor(np.array(x, dtype=float), requires_grad=True) for x in (s, h, W, U, v)
    ]
    scores = torch.tanh((s @ W)[:, None] + h @ U) @ v
    scores.backward(torch.as_tensor(np.array(dscores, dtype=float)))
    return tuple(x.grad.numpy() for x in leaves)


@right("additive_backward")
def gradients_by_the_complex_step(dscores, s, h, W, U, v):
    values = [np.array(x, dtype=complex) for x in (s, h, W, U, v)]
    answer = []
    for x in values:
        gradient = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            x[place] += 1e-30j
            S, A, P, Q, z = values
            scores = np.tanh((S @ P)[:, None] + A @ Q) @ z
            gradient[place] = (dscores * scores.imag).sum() / 1e-30
            x[place] -= 1e-30j
        answer.append(gradient)
    return answer


@right("additive_backward")
def gradients_of_flat_pairs(dscores, s, h, W, U, v):
    B, S, m = h.shape
    flat_h, flat_d = h.reshape(B * S, m), dscores.reshape(B * S, 1)
    flat_s = np.repeat(s, S, axis=0)
    unit = np.tanh(flat_s @ W + flat_h @ U)
    d = flat_d * v * (1 + unit) * (1 - unit)
    ds = (d @ W.T).reshape(B, S, -1).sum(axis=1)
    return ds, (d @ U.T).reshape(h.shape), flat_s.T @ d, flat_h.T @ d, unit.T @ flat_d[:, 0]


def _units(s, h, W, U):
    return np.tanh((s @ W)[:, None] + h @ U)


def _from_total(d, dv, s, h, W, U):
    query = d.sum(axis=1)
    return query @ W.T, d @ U.T, s.T @ query, np.einsum("bsm,bsa->ma", h, d), dv


def _back(dscores, s, h, W, U, v):
    units = _units(s, h, W, U)
    d = dscores[..., None] * v * (1 - units**2)
    return d, np.einsum("bs,bsa->a", dscores, units)


# no slope of the tanh
@wrong("additive_backward", says="and is missing")
def slope_of_tanh_forgotten(dscores, s, h, W, U, v):
    _, dv = _back(dscores, s, h, W, U, v)
    return _from_total(dscores[..., None] * v, dv, s, h, W, U)


# the square is forgotten
@wrong("additive_backward", says="not 1 − tanh")
def slope_without_square(dscores, s, h, W, U, v):
    units = _units(s, h, W, U)
    _, dv = _back(dscores, s, h, W, U, v)
    return _from_total(dscores[..., None] * v * (1 - units), dv, s, h, W, U)


# the slope at the total instead of the unit
@wrong("additive_backward", says="the slope was taken of the total")
def slope_of_the_total(dscores, s, h, W, U, v):
    total = (s @ W)[:, None] + h @ U
    _, dv = _back(dscores, s, h, W, U, v)
    return _from_total(dscores[..., None] * v * (1 - total**2), dv, s, h, W, U)


# tanh twice in the slope
@wrong("additive_backward", says="tanh was taken twice")
def tanh_twice_in_the_slope(dscores, s, h, W, U, v):
    units = _units(s, h, W, U)
    _, dv = _back(dscores, s, h, W, U, v)
    return _from_total(dscores[..., None] * v * (1 - np.tanh(units) ** 2), dv, s, h, W, U)


# the slope of a sigmoid
@wrong("additive_backward", says="is that of a sigmoid")
def slope_of_a_sigmoid(dscores, s, h, W, U, v):
    units = _units(s, h, W, U)
    _, dv = _back(dscores, s, h, W, U, v)
    return _from_total(dscores[..., None] * v * units * (1 - units), dv, s, h, W, U)


# v forgotten on the way back
@wrong("additive_backward", says="v is missing on the way back")
def v_forgotten_on_the_way_back(dscores, s, h, W, U, v):
    units = _units(s, h, W, U)
    _, dv = _back(dscores, s, h, W, U, v)
    return _from_total(dscores[..., None] * (1 - units**2), dv, s, h, W, U)


# dscores forgotten
@wrong("additive_backward", says="dscores is left out")
def dscores_forgotten(dscores, s, h, W, U, v):
    return gradients_by_einsum(np.ones_like(dscores), s, h, W, U, v)


# a softmax's way back that nobody asked for
@wrong("additive_backward", says="back through a softmax, too")
def through_a_softmax_too(dscores, s, h, W, U, v):
    p = _softmax(_units(s, h, W, U) @ v)
    inner = p * (dscores - (p * dscores).sum(axis=1, keepdims=True))
    return gradients_by_einsum(inner, s, h, W, U, v)


# minus
@wrong("additive_backward", says="the sign is turned round")
def sign_turned(dscores, s, h, W, U, v):
    return [-x for x in gradients_by_einsum(dscores, s, h, W, U, v)]


# ds: one for each pair
@wrong("additive_backward", says="one query asks all S words")
def ds_not_summed(dscores, s, h, W, U, v):
    d, dv = _back(dscores, s, h, W, U, v)
    return d @ W.T, *_from_total(d, dv, s, h, W, U)[1:]


# ds: the mean over the words
@wrong("additive_backward", says="mean instead of sum over the source")
def ds_by_mean(dscores, s, h, W, U, v):
    ds, *rest = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds / h.shape[1], *rest


# the mean of the totals over the source, for the query and with it for dW
@wrong("additive_backward", says="mean instead of sum over the source")
def query_by_mean(dscores, s, h, W, U, v):
    ds, dh, dW, dU, dv = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds / h.shape[1], dh, dW / h.shape[1], dU, dv


# ds: only the last word
@wrong("additive_backward", says="only the last word's share was kept")
def ds_of_the_last_word(dscores, s, h, W, U, v):
    d, dv = _back(dscores, s, h, W, U, v)
    return d[:, -1] @ W.T, *_from_total(d, dv, s, h, W, U)[1:]


# the sum over the source in dh too
@wrong("additive_backward", says="each word has a gradient of its own in")
def dh_summed_over_the_source(dscores, s, h, W, U, v):
    ds, dh, *rest = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds, np.broadcast_to(dh.sum(axis=1, keepdims=True), h.shape).copy(), *rest


# ds summed over the batch
@wrong("additive_backward", says="each sentence has a state of its own")
def ds_summed_over_the_batch(dscores, s, h, W, U, v):
    ds, *rest = gradients_by_einsum(dscores, s, h, W, U, v)
    return np.broadcast_to(ds.sum(axis=0), s.shape).copy(), *rest


# parameters by the mean over the batch
@wrong("additive_backward", says="mean instead of sum over the batch")
def parameters_by_mean(dscores, s, h, W, U, v):
    ds, dh, *rest = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds, dh, *(x / len(s) for x in rest)


# dU by the mean over places
@wrong("additive_backward", says="mean instead of sum over the source")
def dU_by_mean(dscores, s, h, W, U, v):
    ds, dh, dW, dU, dv = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds, dh, dW, dU / h.shape[1], dv


# parameters of the first sentence
@wrong("additive_backward", says="only the first sentence's share was kept")
def parameters_of_the_first_sentence(dscores, s, h, W, U, v):
    ds, dh, *_ = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds, dh, *gradients_by_einsum(dscores[:1], s[:1], h[:1], W, U, v)[2:]


# parameters overwritten in the loop: the last pair's
@wrong("additive_backward", says="only the last word's share was kept")
def parameters_of_the_last_pair(dscores, s, h, W, U, v):
    ds, dh, *_ = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds, dh, *gradients_by_einsum(dscores[-1:, -1:], s[-1:], h[-1:, -1:], W, U, v)[2:]


# sums before the product: (sum of h) times (sum of d)
@wrong("additive_backward", says="h and gradients were each summed over the source,")
def summed_before_the_product(dscores, s, h, W, U, v):
    d, dv = _back(dscores, s, h, W, U, v)
    ds, dh, dW, _, _ = _from_total(d, dv, s, h, W, U)
    return ds, dh, dW, h.sum(axis=1).T @ d.sum(axis=1), dv


# dv of the totals
@wrong("additive_backward", says="v meets tanh(total), not the total")
def dv_without_tanh(dscores, s, h, W, U, v):
    *rest, _ = gradients_by_einsum(dscores, s, h, W, U, v)
    return *rest, np.einsum("bs,bsa->a", dscores, (s @ W)[:, None] + h @ U)


# dv with the slope and v
@wrong("additive_backward", says="that is the sum of the totals' gradients")
def dv_of_the_gradient(dscores, s, h, W, U, v):
    d, _ = _back(dscores, s, h, W, U, v)
    return _from_total(d, d.sum(axis=(0, 1)), s, h, W, U)


# dv without dscores
@wrong("additive_backward", says="dscores is left out")
def dv_without_dscores(dscores, s, h, W, U, v):
    d, _ = _back(dscores, s, h, W, U, v)
    return _from_total(d, _units(s, h, W, U).sum(axis=(0, 1)), s, h, W, U)


# dv not summed over the batch
@wrong("additive_backward", says="one for each sentence")
def dv_for_every_sentence(dscores, s, h, W, U, v):
    *rest, _ = gradients_by_einsum(dscores, s, h, W, U, v)
    return *rest, np.einsum("bs,bsa->ba", dscores, _units(s, h, W, U))


# dW with the wrong layout
@wrong("additive_backward", says="transposed")
def dW_transposed(dscores, s, h, W, U, v):
    ds, dh, dW, dU, dv = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds, dh, dW.T, dU.T, dv


# parameters first
@wrong("additive_backward", says="the order is ds, dh, dW, dU, dv")
def parameters_returned_first(dscores, s, h, W, U, v):
    ds, dh, dW, dU, dv = gradients_by_einsum(dscores, s, h, W, U, v)
    return dW, dU, dv, ds, dh


# dU before dW
@wrong("additive_backward", says="the order is ds, dh, dW, dU, dv")
def dU_before_dW(dscores, s, h, W, U, v):
    ds, dh, dW, dU, dv = gradients_by_einsum(dscores, s, h, W, U, v)
    return ds, dh, dU, dW, dv


# only what the parameters get
@wrong("additive_backward", says="no `return ds, dh, dW, dU, dv`")
def parameters_only(dscores, s, h, W, U, v):
    return gradients_by_einsum(dscores, s, h, W, U, v)[2:]


# the query without an axis for the source
@wrong("additive_backward", says="word j was asked by the state of sentence")
def backward_without_source_axis(dscores, s, h, W, U, v):
    units = np.tanh(s @ W + h @ U)
    d = dscores[..., None] * v * (1 - units**2)
    return _from_total(d, np.einsum("bs,bsa->a", dscores, units), s, h, W, U)


# the argument is changed
@wrong("additive_backward", says="an assignment into dscores")
def writes_into_dscores(dscores, s, h, W, U, v):
    answer = gradients_by_einsum(dscores, s, h, W, U, v)
    dscores *= 0
    return answer


# ---------------------------------------------------------------- 3.8 maxout


@right("maxout")
def maxout_by_reshape(seen, W_t, W_o, dlogits):
    B, l = len(seen), len(W_o)
    pairs = (seen @ W_t).reshape(B, l, 2)
    winner = pairs.argmax(axis=2)
    t = pairs.max(axis=2)
    dpairs = (dlogits @ W_o.T)[..., None] * (winner[..., None] == np.arange(2))
    d = dpairs.reshape(B, 2 * l)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


@right("maxout")
def maxout_by_slices(seen, W_t, W_o, dlogits):
    units = seen @ W_t
    first, second = units[:, 0::2], units[:, 1::2]
    t = np.maximum(first, second)
    dt = np.einsum("bv,lv->bl", dlogits, W_o)
    d = np.zeros(units.shape)
    d[:, 0::2] = np.where(first >= second, dt, 0)
    d[:, 1::2] = np.where(first < second, dt, 0)
    return [
        t @ W_o,
        np.einsum("bu,ku->bk", d, W_t),
        np.einsum("bk,bu->ku", seen, d),
        np.einsum("bl,bv->lv", t, dlogits),
    ]


@right("maxout")
def maxout_in_loops(seen, W_t, W_o, dlogits):
    B, V = dlogits.shape
    logits, dseen = np.zeros((B, V)), np.zeros(seen.shape)
    dW_t, dW_o = np.zeros(W_t.shape), np.zeros(W_o.shape)
    for b in range(B):
        units = seen[b] @ W_t
        for j in range(len(W_o)):
            k = 2 * j + (1 if units[2 * j + 1] > units[2 * j] else 0)
            logits[b] += units[k] * W_o[j]
            dW_o[j] += units[k] * dlogits[b]
            d = float(W_o[j] @ dlogits[b])
            dseen[b] += d * W_t[:, k]
            dW_t[:, k] += d * seen[b]
    return logits, dseen, dW_t, dW_o


@right("maxout")
def maxout_by_torch(seen, W_t, W_o, dlogits):
    import torch

    seen, W_t, W_o = leaves = [
        torch.tensor(np.array(x, dtype=float), requires_grad=True) for x in (seen, W_t, W_o)
    ]
    units = seen @ W_t
    first, second = units[:, ::2], units[:, 1::2]
    logits = torch.where(first >= second, first, second) @ W_o
    logits.backward(torch.as_tensor(np.array(dlogits, dtype=float)))
    return logits.detach().numpy(), *(x.grad.numpy() for x in leaves)


def _maxout(seen, W_t, W_o, dlogits, winners):
    """With `winners(pairs)` (B,l,2), the share of the gradient of each unit."""
    pairs = (seen @ W_t).reshape(len(seen), -1, 2)
    t = pairs.max(axis=2)
    d = ((dlogits @ W_o.T)[..., None] * winners(pairs)).reshape(len(seen), -1)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


def _first(pairs):
    return pairs.argmax(axis=2)[..., None] == np.arange(2)


# first half against second half
@wrong("maxout", says="unit j was paired with unit l + j")
def halves_compared(seen, W_t, W_o, dlogits):
    l = len(W_o)
    units = seen @ W_t
    first, second = units[:, :l], units[:, l:]
    t, dt = np.maximum(first, second), dlogits @ W_o.T
    d = np.hstack([dt * (first >= second), dt * (first < second)])
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# neighbours forward, halves on the way back
@wrong("maxout", says="the gradients stand in halves")
def halves_on_the_way_back(seen, W_t, W_o, dlogits):
    units = seen @ W_t
    first, second = units[:, ::2], units[:, 1::2]
    t, dt = np.maximum(first, second), dlogits @ W_o.T
    d = np.hstack([dt * (first >= second), dt * (first < second)])
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# pairs of batch rows: a reshape that goes wrong for B > 1
@wrong("maxout", says="a reshape to (2,B,l) tears rows apart")
def reshape_with_the_pairs_in_front(seen, W_t, W_o, dlogits):
    pairs = (seen @ W_t).reshape(2, len(seen), -1)
    t = pairs.max(axis=0)
    d = (dlogits @ W_o.T) * (pairs.argmax(axis=0) == np.arange(2)[:, None, None])
    d = d.reshape(len(seen), -1)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# overlapping pairs: 1 with 2, 2 with 3 …; every other of them taken too late
@wrong("maxout", says="pairs begin at the second unit")
def pairs_one_too_late(seen, W_t, W_o, dlogits):
    logits, dseen, dW_t, dW_o = _maxout(seen, np.roll(W_t, -1, axis=1), W_o, dlogits, _first)
    return logits, dseen, np.roll(dW_t, 1, axis=1), dW_o


# the smaller
@wrong("maxout", says="the smaller of the two was taken")
def the_smaller(seen, W_t, W_o, dlogits):
    pairs = (seen @ W_t).reshape(len(seen), -1, 2)
    t = pairs.min(axis=2)
    losers = pairs.argmin(axis=2)[..., None] == np.arange(2)
    d = ((dlogits @ W_o.T)[..., None] * losers).reshape(len(seen), -1)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# the mean of the pair
@wrong("maxout", says="the mean of the two was taken")
def mean_of_the_pair(seen, W_t, W_o, dlogits):
    t = (seen @ W_t).reshape(len(seen), -1, 2).mean(axis=2)
    d = np.repeat(dlogits @ W_o.T / 2, 2, axis=1)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# the larger by its absolute value
@wrong("maxout", says="the larger without its sign was taken")
def larger_by_absolute_value(seen, W_t, W_o, dlogits):
    pairs = (seen @ W_t).reshape(len(seen), -1, 2)
    winner = np.abs(pairs).argmax(axis=2)[..., None]
    t = np.take_along_axis(pairs, winner, axis=2)[..., 0]
    d = ((dlogits @ W_o.T)[..., None] * (winner == np.arange(2))).reshape(len(seen), -1)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# a relu on top
@wrong("maxout", says="the larger was cut off at 0, as by")
def relu_on_top(seen, W_t, W_o, dlogits):
    pairs = (seen @ W_t).reshape(len(seen), -1, 2)
    t = np.maximum(pairs.max(axis=2), 0)
    d = (((dlogits @ W_o.T) * (t > 0))[..., None] * _first(pairs)).reshape(len(seen), -1)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# a tanh on the units
@wrong("maxout", says="a tanh was put around the units")
def tanh_of_the_units(seen, W_t, W_o, dlogits):
    pairs = np.tanh(seen @ W_t).reshape(len(seen), -1, 2)
    t = pairs.max(axis=2)
    d = ((dlogits @ W_o.T)[..., None] * _first(pairs) * (1 - pairs**2)).reshape(len(seen), -1)
    return t @ W_o, d @ W_t.T, seen.T @ d, t.T @ dlogits


# both units get the gradient
@wrong("maxout", says="both units of a pair got the gradient")
def both_get_the_gradient(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, np.ones_like)


# both units get half
@wrong("maxout", says="the gradient was divided between the two")
def both_get_half(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, lambda pairs: np.full_like(pairs, 0.5))


# the loser gets the gradient
@wrong("maxout", says="the gradient went to the smaller one")
def the_loser_gets_it(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, lambda pairs: ~_first(pairs))


# always the first
@wrong("maxout", says="the first of each pair got it, larger or")
def always_the_first_gets_it(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, lambda p: np.ones_like(p) * (np.arange(2) == 0))


# in a tie both
@wrong("maxout", says="all of the gradient, not both")
def tie_to_both(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, lambda p: p == p.max(axis=2, keepdims=True))


# in a tie the second
@wrong("maxout", says="all of the gradient, not the second")
def tie_to_the_second(seen, W_t, W_o, dlogits):
    def second(p):
        first = p[..., 0] > p[..., 1]
        return np.stack([first, ~first], axis=2)

    return _maxout(seen, W_t, W_o, dlogits, second)


# in a tie a half each
@wrong("maxout", says="all of the gradient, not half")
def tie_halved(seen, W_t, W_o, dlogits):
    def shared(p):
        top = p == p.max(axis=2, keepdims=True)
        return top / top.sum(axis=2, keepdims=True)

    return _maxout(seen, W_t, W_o, dlogits, shared)


# in a tie nobody
@wrong("maxout", says="and is not left out")
def tie_to_nobody(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, lambda p: p > p[..., ::-1])


# the units are multiplied in once more
@wrong("maxout", says="the unit itself was multiplied in")
def units_multiplied_in(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, lambda p: p * _first(p))


# means over the batch
@wrong("maxout", says="mean over the batch")
def matrices_by_mean(seen, W_t, W_o, dlogits):
    logits, dseen, dW_t, dW_o = maxout_by_reshape(seen, W_t, W_o, dlogits)
    return logits, dseen, dW_t / len(seen), dW_o / len(seen)


# the gradient begins at the logits themselves
@wrong("maxout", says="the logits went back")
def logits_for_dlogits(seen, W_t, W_o, dlogits):
    logits = maxout_by_reshape(seen, W_t, W_o, dlogits)[0]
    return maxout_by_reshape(seen, W_t, W_o, logits)


# a softmax on top
@wrong("maxout", says="softmax of the logits")
def maxout_softmax_on_top(seen, W_t, W_o, dlogits):
    logits, *rest = maxout_by_reshape(seen, W_t, W_o, dlogits)
    return _softmax(logits), *rest


# the maxima for the logits
@wrong("maxout", says="those are the maxima t")
def maxima_for_logits(seen, W_t, W_o, dlogits):
    _, *rest = maxout_by_reshape(seen, W_t, W_o, dlogits)
    return (seen @ W_t).reshape(len(seen), -1, 2).max(axis=2), *rest


# dW_o of the gradient of t
@wrong("maxout", says="transposed")
def dW_o_transposed(seen, W_t, W_o, dlogits):
    logits, dseen, dW_t, dW_o = maxout_by_reshape(seen, W_t, W_o, dlogits)
    return logits, dseen, dW_t.T, dW_o.T


# in the order of the forward pass
@wrong("maxout", says="the order is logits, dseen, dW_t, dW_o")
def order_of_the_matrices(seen, W_t, W_o, dlogits):
    logits, dseen, dW_t, dW_o = maxout_by_reshape(seen, W_t, W_o, dlogits)
    return logits, dW_o, dW_t, dseen


# dW_o of the first units
@wrong("maxout", says="the first unit of each pair met dlogits")
def dW_o_of_the_first_units(seen, W_t, W_o, dlogits):
    logits, dseen, dW_t, _ = maxout_by_reshape(seen, W_t, W_o, dlogits)
    return logits, dseen, dW_t, (seen @ W_t)[:, ::2].T @ dlogits


# the winner of the first row for all rows
@wrong("maxout", says="the winners of the first row were taken for")
def winners_of_the_first_row(seen, W_t, W_o, dlogits):
    return _maxout(seen, W_t, W_o, dlogits, lambda p: np.repeat(_first(p)[:1], len(p), axis=0))


# only the largest of all units
@wrong("maxout", says="only the largest of all units got it")
def largest_of_all_units(seen, W_t, W_o, dlogits):
    def largest(p):
        return p == p.max(axis=(1, 2), keepdims=True)

    return _maxout(seen, W_t, W_o, dlogits, largest)


# no backward
@wrong("maxout", says="no `return logits, dseen, dW_t, dW_o`")
def forward_only(seen, W_t, W_o, dlogits):
    return maxout_by_reshape(seen, W_t, W_o, dlogits)[0]


# the argument is changed
@wrong("maxout", says="an assignment into dlogits")
def writes_into_dlogits(seen, W_t, W_o, dlogits):
    answer = maxout_by_reshape(seen, W_t, W_o, dlogits)
    dlogits -= dlogits.mean(axis=1, keepdims=True)
    return answer


# ---------------------------------------------------------------- 3.9 scheduled_inputs


@right("scheduled_inputs")
def all_coins_first(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read = target_in.copy()
    for t in range(1, target_in.shape[1]):
        said, state = step(read[:, t - 1], state)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return read


@right("scheduled_inputs")
def coins_at_every_place(target_in, step, state, truth, update, rng):
    words = np.array(target_in[:, 0])
    columns = [words]
    epsilon = truth(update)
    for true_words in target_in.T[1:]:
        said, state = step(words, state)
        coin = rng.binomial(1, epsilon, size=len(words))
        words = coin * true_words + (1 - coin) * np.asarray(said)
        columns.append(words)
    return np.stack(columns, axis=1)


@right("scheduled_inputs")
def coins_one_by_one(target_in, step, state, truth, update, rng):
    B, T = target_in.shape
    read = np.empty_like(target_in)
    for b in range(B):
        read[b, 0] = target_in[b, 0]
    for t in range(T - 1):
        said, state = step(read[:, t], state)
        for b in range(B):
            shown = rng.uniform() <= truth(update)
            read[b, t + 1] = target_in[b, t + 1] if shown else said[b]
    return read


@right("scheduled_inputs")
def own_words_by_choice(target_in, step, state, truth, update, rng):
    p = truth(update)
    rows = [target_in[:, 0].tolist()]
    for t in range(1, target_in.shape[1]):
        said, state = step(np.array(rows[-1]), state)
        own = rng.choice([True, False], size=len(said), p=[1 - p, p])
        rows.append([s if o else w for s, o, w in zip(said, own, target_in[:, t], strict=True)])
    return np.array(rows).T


@right("scheduled_inputs")
def coins_from_above(target_in, step, state, truth, update, rng):
    T = target_in.shape[1]
    own = 1 - rng.random((T, len(target_in))) > truth(update)
    read = [target_in[:, 0]]
    while len(read) < T:
        said, state = step(read[-1], state)
        read.append(np.choose(own[len(read)], [target_in[:, len(read)], said]))
    return np.column_stack(read)


def _mix(target_in, step, state, coins):
    read = target_in.copy()
    for t in range(1, target_in.shape[1]):
        said, state = step(read[:, t - 1], state)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return read


# one coin for the whole batch and all places
@wrong("scheduled_inputs", says="one coin a batch")
def one_coin_for_the_batch(target_in, step, state, truth, update, rng):
    coin = rng.random() < truth(update)
    return _mix(target_in, step, state, np.full(target_in.shape, coin))


# one coin for each place, as in public code
@wrong("scheduled_inputs", says="one coin a step")
def one_coin_a_place(target_in, step, state, truth, update, rng):
    coins = rng.random((1, target_in.shape[1])) < truth(update)
    return _mix(target_in, step, state, np.broadcast_to(coins, target_in.shape))


# one coin for each sentence
@wrong("scheduled_inputs", says="one coin a sentence")
def one_coin_a_sentence(target_in, step, state, truth, update, rng):
    coins = rng.random((len(target_in), 1)) < truth(update)
    return _mix(target_in, step, state, np.broadcast_to(coins, target_in.shape))


# the coin the wrong way round
@wrong("scheduled_inputs", says="the coin is turned round")
def coin_the_wrong_way_round(target_in, step, state, truth, update, rng):
    return _mix(target_in, step, state, rng.random(target_in.shape) > truth(update))


# what is said comes from the true words: two passes
@wrong("scheduled_inputs", says="own words came from a decoder that had read")
def said_after_true_words(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read = target_in.copy()
    for t in range(1, target_in.shape[1]):
        said, state = step(target_in[:, t - 1], state)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return read


# a free run, mixed afterwards
@wrong("scheduled_inputs", says="own words came from a run that never reads")
def free_run_mixed_afterwards(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    own = _mix(target_in, step, state, np.zeros(target_in.shape, dtype=bool))
    coins[:, 0] = True
    return np.where(coins, target_in, own)


# the state is not handed on
@wrong("scheduled_inputs", says="the state that `step` returns was not handed on")
def state_not_handed_on(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read = target_in.copy()
    for t in range(1, target_in.shape[1]):
        said, _ = step(read[:, t - 1], state)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return read


# the decoder moves only where its word is wanted
@wrong("scheduled_inputs", says="`step` was left out where the truth is read")
def steps_only_when_needed(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read = target_in.copy()
    for t in range(1, target_in.shape[1]):
        if coins[:, t].all():
            continue
        said, state = step(read[:, t - 1], state)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return read


# a step too late: what is said after the true word of the same place
@wrong("scheduled_inputs", says="what is said *after* the place itself")
def said_at_the_same_place(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read = target_in.copy()
    _, state = step(read[:, 0], state)
    for t in range(1, target_in.shape[1]):
        said, state = step(target_in[:, t], state)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return read


# the first column has a coin too
@wrong("scheduled_inputs", says="the first word read is target_in[")
def coin_for_the_first_column(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read = target_in.copy()
    words = target_in[:, 0]
    for t in range(target_in.shape[1]):
        said, state = step(words, state)
        read[:, t] = words = np.where(coins[:, t], target_in[:, t], said)
    return read


# <sos> is dropped
@wrong("scheduled_inputs", says="the first column, <sos>, is read")
def first_column_dropped(target_in, step, state, truth, update, rng):
    return all_coins_first(target_in, step, state, truth, update, rng)[:, 1:]


# a generator with a seed, inside
@wrong("scheduled_inputs", says="a generator made anew in each call, from a")
def generator_with_a_seed(target_in, step, state, truth, update, rng):
    own = np.random.default_rng(0)
    return _mix(target_in, step, state, own.random(target_in.shape) < truth(update))


# a generator seeded with the update
@wrong("scheduled_inputs", says="a generator made anew in each call, from a")
def generator_seeded_with_the_update(target_in, step, state, truth, update, rng):
    own = np.random.default_rng(update)
    return _mix(target_in, step, state, own.random(target_in.shape) < truth(update))


# a fresh generator without a seed: rng is not used
@wrong("scheduled_inputs", says="coins from elsewhere")
def generator_of_its_own(target_in, step, state, truth, update, rng):
    own = np.random.default_rng()
    return _mix(target_in, step, state, own.random(target_in.shape) < truth(update))


# the schedule is always asked for its beginning
@wrong("scheduled_inputs", says="the schedule is asked for this update")
def schedule_at_zero(target_in, step, state, truth, update, rng):
    return _mix(target_in, step, state, rng.random(target_in.shape) < truth(0))


# the schedule is asked with the place
@wrong("scheduled_inputs", says="the schedule is asked for this update")
def schedule_of_the_place(target_in, step, state, truth, update, rng):
    epsilon = np.array([truth(t) for t in range(target_in.shape[1])])
    return _mix(target_in, step, state, rng.random(target_in.shape) < epsilon)


# one half, whatever the schedule says
@wrong("scheduled_inputs", says="a coin that does not go by `truth(update)`")
def always_one_half(target_in, step, state, truth, update, rng):
    return _mix(target_in, step, state, rng.random(target_in.shape) < 0.5)


# rounded: teacher forcing until epsilon falls below one half
@wrong("scheduled_inputs", says="one coin a batch, or none")
def no_coins_only_a_threshold(target_in, step, state, truth, update, rng):
    return _mix(target_in, step, state, np.full(target_in.shape, truth(update) > 0.5))


# the last words without a coin: one place too few
@wrong("scheduled_inputs", says="a true word although ε = 0")
def last_place_always_true(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    coins[:, -1] = True
    return _mix(target_in, step, state, coins)


# after the first own word only own words
@wrong("scheduled_inputs", says="no coin any more after the first own word")
def never_back_to_the_truth(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    coins[:, 0] = True
    return _mix(target_in, step, state, np.logical_and.accumulate(coins, axis=1))


# the same number of true words in every column, drawn without coins
@wrong("scheduled_inputs", says="a share was drawn")
def a_fixed_number_of_rows(target_in, step, state, truth, update, rng):
    B, T = target_in.shape
    coins = np.zeros((B, T), dtype=bool)
    for t in range(T):
        coins[rng.permutation(B)[: round(truth(update) * B)], t] = True
    return _mix(target_in, step, state, coins)


# coins in the order of the places: the first ones show the truth
@wrong("scheduled_inputs", says="one coin a step, or none")
def first_share_of_the_places(target_in, step, state, truth, update, rng):
    B, T = target_in.shape
    coins = np.tile(np.arange(T) < truth(update) * T, (B, 1))
    return _mix(target_in, step, state, coins)


# places first in the result
@wrong("scheduled_inputs", says="the axes are turned round")
def result_transposed(target_in, step, state, truth, update, rng):
    return all_coins_first(target_in, step, state, truth, update, rng).T


# the arguments of step swapped
@wrong("scheduled_inputs", says="`step` was called as step(state, words)")
def arguments_of_step_swapped(target_in, step, state, truth, update, rng):
    def swapped(words, state):
        return step(state, words)

    return all_coins_first(target_in, swapped, state, truth, update, rng)


# the argument is written over
@wrong("scheduled_inputs", says="an assignment into target_in")
def target_in_written_over(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    for t in range(1, target_in.shape[1]):
        said, state = step(target_in[:, t - 1], state)
        target_in[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return target_in


# the first sentence's words for all
@wrong("scheduled_inputs", says="what the first sentence says was read by all")
def words_of_the_first_sentence(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read = target_in.copy()
    for t in range(1, target_in.shape[1]):
        said, state = step(read[:, t - 1], state)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said[0])
    return read


# two coins must show the truth: epsilon squared
@wrong("scheduled_inputs", says="two coins for one word, which must both show")
def two_coins(target_in, step, state, truth, update, rng):
    coins = rng.random((2, *target_in.shape)).max(axis=0) < truth(update)
    return _mix(target_in, step, state, coins)


# a coin decides what is said, not what is read: the true word is offered to every second
@wrong("scheduled_inputs", says="the state went on from true words")
def state_only_of_true_words(target_in, step, state, truth, update, rng):
    coins = rng.random(target_in.shape) < truth(update)
    read, free = target_in.copy(), state
    for t in range(1, target_in.shape[1]):
        said, _ = step(read[:, t - 1], free)
        _, free = step(target_in[:, t - 1], free)
        read[:, t] = np.where(coins[:, t], target_in[:, t], said)
    return read


# ids that index no embedding
@wrong("scheduled_inputs", says="an array of floats, which is no index")
def into_an_array_of_floats(target_in, step, state, truth, update, rng):
    read = np.zeros(target_in.shape)
    read[:, 0] = target_in[:, 0]
    for t in range(1, read.shape[1]):
        said, state = step(read[:, t - 1], state)
        true = rng.random(len(read)) < truth(update)
        read[:, t] = np.where(true, target_in[:, t], said)
    return read
