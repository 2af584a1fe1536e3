"""Answers to the exercises of Chapter 4."""

import math

import numpy as np

from attention_course.scratch.functional import softmax
from proofs import right, wrong

# ---------------------------------------------------------------- 4.1 luong_context


@right("luong_context")
def context_by_einsum(weights, states):
    return np.einsum("b...s,bsh->b...h", weights, states)


@right("luong_context")
def context_with_loops(weights, states):
    weights = np.asarray(weights)
    B, S, H = np.shape(states)
    one_step = weights.ndim == 2
    steps = weights[:, None] if one_step else weights
    out = np.zeros((B, steps.shape[1], H))
    for b in range(B):
        for t in range(steps.shape[1]):
            for s in range(S):
                out[b, t] += steps[b, t, s] * states[b][s]
    return out[:, 0] if one_step else out


@right("luong_context")
def context_of_own_sentences(weights, states):
    return [w @ h for w, h in zip(weights, states, strict=True)]


@right("luong_context")
def context_by_torch(weights, states):
    import torch

    a, h = torch.as_tensor(np.array(weights)), torch.as_tensor(np.array(states))
    if a.ndim == 2:
        return torch.bmm(a.unsqueeze(1), h).squeeze(1).numpy()
    return torch.bmm(a, h).numpy()


@right("luong_context")
def context_as_sum_of_products(weights, states):
    if np.ndim(weights) == 2:
        return (weights[:, :, None] * states).sum(axis=1)
    return (weights[..., None] * states[:, None]).sum(axis=2)


# one matmul, as in the notebook of the statement: (B,B,H) for one step
@wrong("luong_context", says="one matrix and multiplied it with each")
def one_matmul(weights, states):
    return weights @ states


# the axis too many is cut off: every row of weights meets the first sentence
@wrong("luong_context", says="read the states of the first one")
def states_of_the_first_sentence(weights, states):
    return weights @ states[0]


# the axis too many is averaged away
@wrong("luong_context", says="sentences of the batch mix")
def averaged_over_sentences(weights, states):
    return (weights @ states).mean(axis=0) if weights.ndim == 2 else weights @ states


# one letter too many in the einsum: all sentences are added up
@wrong("luong_context", says="sentences of the batch mix")
def einsum_over_all_sentences(weights, states):
    return np.einsum("b...s,csh->b...h", weights, states)


# the mean instead of the sum
@wrong("luong_context", says="it was divided by S")
def context_by_mean(weights, states):
    return context_as_sum_of_products(weights, states) / states.shape[1]


# the products are not added up
@wrong("luong_context", says="weighted, but not added up")
def products_not_added(weights, states):
    if weights.ndim == 2:
        return weights[:, :, None] * states
    return weights[..., None] * states[:, None]


# only the case of one step
@wrong("luong_context", says="two shapes, (B,S) and (B,T,S); these are (2, 3, 5)")
def one_step_only(weights, states):
    return np.einsum("bs,bsh->bh", weights, states)


# only the case of all steps
@wrong("luong_context", says="two shapes, (B,S) and (B,T,S); these are (2, 3)")
def all_steps_only(weights, states):
    return np.einsum("bts,bsh->bth", weights, states)


# one step keeps an axis of length 1
@wrong("luong_context", says="put in for the product is still there")
def one_step_keeps_its_axis(weights, states):
    return (weights[:, None] if weights.ndim == 2 else weights) @ states


# squeeze takes other axes of length 1, too
@wrong("luong_context", says="np.squeeze has taken away the batch's axis")
def squeezed(weights, states):
    return np.squeeze(np.atleast_3d(weights).reshape(len(states), -1, states.shape[1]) @ states)


# a squeeze of the axis of steps where T = 1
@wrong("luong_context", says="a T that was taken for none")
def single_step_squeezed(weights, states):
    out = weights.reshape(len(states), -1, states.shape[1]) @ states
    return out[:, 0] if out.shape[1] == 1 else out


# another softmax
@wrong("luong_context", says="a softmax was taken of the weights")
def softmax_again(weights, states):
    return context_by_einsum(softmax(weights), states)


# the argument itself is changed
@wrong("luong_context", says="an assignment into states")
def writes_into_states(weights, states):
    if weights.ndim == 2:
        states *= weights[:, :, None]
        return states.sum(axis=1)
    return weights @ states


# the steps are added up
@wrong("luong_context", says="the steps were added up")
def steps_added_up(weights, states):
    return np.einsum("bs,bsh->bh", weights if weights.ndim == 2 else weights.sum(axis=1), states)


# divided by the sum of the weights
@wrong("luong_context", says="divided by the sum of the weights")
def context_by_average(weights, states):
    return context_by_einsum(weights / weights.sum(axis=-1, keepdims=True), states)


# the axes of steps and features are exchanged
@wrong("luong_context", says="T and H changed places")
def steps_and_features_exchanged(weights, states):
    if weights.ndim == 2:
        return context_by_einsum(weights, states)
    return np.einsum("bts,bsh->bht", weights, states)


# ---------------------------------------------------------------- 4.2 luong_score


@right("luong_score")
def scores_with_loops(query, key, kind, W=None, v=None):
    B, T, _ = query.shape
    S = key.shape[1]
    out = np.zeros((B, T, S))
    for b in range(B):
        for t in range(T):
            for j in range(S):
                q, k = query[b, t], key[b, j]
                if kind == "dot":
                    out[b, t, j] = q @ k
                elif kind == "general":
                    out[b, t, j] = q @ W @ k
                elif kind == "concat":
                    out[b, t, j] = v @ np.tanh(np.concatenate([q, k]) @ W)
                else:
                    out[b, t, j] = q @ W[:, j]
    return out


@right("luong_score")
def scores_by_products(query, key, kind, W=None, v=None):
    turned = key.swapaxes(1, 2)
    if kind == "dot":
        return query @ turned
    if kind == "general":
        return query @ W @ turned
    if kind == "location":
        return (query @ W)[:, :, : key.shape[1]]
    d = query.shape[-1]
    return np.tanh((query @ W[:d])[:, :, None] + (key @ W[d:])[:, None]) @ v


@right("luong_score")
def scores_by_einsum(query, key, kind, W=None, v=None):
    S = key.shape[1]
    match kind:
        case "dot":
            return np.einsum("btd,bsd->bts", query, key)
        case "general":
            return np.einsum("btq,bsq->bts", query, key @ W.T)
        case "location":
            return np.einsum("btq,qs->bts", query, W[:, :S])
    T = query.shape[1]
    joined = np.concatenate(
        [np.repeat(query[:, :, None], S, axis=2), np.repeat(key[:, None], T, axis=1)], axis=-1
    )
    return np.einsum("btsa,a->bts", np.tanh(joined @ W), v)


@right("luong_score")
def scores_by_torch(query, key, kind, W=None, v=None):
    import torch

    q, k = torch.as_tensor(np.array(query)), torch.as_tensor(np.array(key))
    W = None if W is None else torch.as_tensor(np.array(W))
    if kind == "dot":
        return torch.bmm(q, k.mT).numpy()
    if kind == "general":
        return torch.bmm(torch.nn.functional.linear(q, W.T), k.mT).numpy()
    if kind == "location":
        return (q @ W).narrow(2, 0, k.shape[1]).numpy()
    T, S = q.shape[1], k.shape[1]
    pairs = torch.cat(
        [q.unsqueeze(2).expand(-1, -1, S, -1), k.unsqueeze(1).expand(-1, T, -1, -1)], dim=-1
    )
    return (torch.tanh(pairs @ W) @ torch.as_tensor(np.array(v))).numpy()


# the bare dot product for all: W is not used in general
@wrong("luong_score", says="W was left out")
def general_without_W(query, key, kind, W=None, v=None):
    if kind == "general":
        return scores_by_products(query, key, "dot")
    return scores_by_products(query, key, kind, W, v)


# general with W the other way round
@wrong("luong_score", says="W was turned round")
def general_with_transposed_W(query, key, kind, W=None, v=None):
    if kind == "general":
        return query @ W.T @ key.swapaxes(1, 2)
    return scores_by_products(query, key, kind, W, v)


# the dot product is scaled as in the Transformer
@wrong("luong_score", says="divided by √d")
def dot_scaled(query, key, kind, W=None, v=None):
    scores = scores_by_products(query, key, kind, W, v)
    return scores / np.sqrt(query.shape[-1]) if kind == "dot" else scores


# the dot product of unit vectors
@wrong("luong_score", says="that is the cosine")
def dot_as_cosine(query, key, kind, W=None, v=None):
    scores = scores_by_products(query, key, kind, W, v)
    if kind == "dot":
        lengths = np.linalg.norm(query, axis=-1)[:, :, None] * np.linalg.norm(key, axis=-1)[:, None]
        with np.errstate(all="ignore"):
            return scores / lengths
    return scores


# the key stands before the query in concat
@wrong("luong_score", says="joined as [k; q]")
def concat_key_first(query, key, kind, W=None, v=None):
    if kind == "concat":
        d = key.shape[-1]
        return np.tanh((query @ W[d:])[:, :, None] + (key @ W[:d])[:, None]) @ v
    return scores_by_products(query, key, kind, W, v)


# no tanh in concat
@wrong("luong_score", says="the tanh is missing")
def concat_without_tanh(query, key, kind, W=None, v=None):
    if kind == "concat":
        d = query.shape[-1]
        return ((query @ W[:d])[:, :, None] + (key @ W[d:])[:, None]) @ v
    return scores_by_products(query, key, kind, W, v)


# tanh of the whole score in concat
@wrong("luong_score", says="the tanh was taken last")
def concat_tanh_outside(query, key, kind, W=None, v=None):
    if kind == "concat":
        return np.tanh(concat_without_tanh(query, key, kind, W, v))
    return scores_by_products(query, key, kind, W, v)


# tanh of the two parts before they are added
@wrong("luong_score", says="squashed one by one")
def concat_tanh_of_each_part(query, key, kind, W=None, v=None):
    if kind == "concat":
        d = query.shape[-1]
        return (np.tanh(query @ W[:d])[:, :, None] + np.tanh(key @ W[d:])[:, None]) @ v
    return scores_by_products(query, key, kind, W, v)


# v is left out in concat
@wrong("luong_score", says="v was left out")
def concat_without_v(query, key, kind, W=None, v=None):
    if kind == "concat":
        d = query.shape[-1]
        return np.tanh((query @ W[:d])[:, :, None] + (key @ W[d:])[:, None]).sum(axis=-1)
    return scores_by_products(query, key, kind, W, v)


# W is cut in the middle
@wrong("luong_score", says="nor one half")
def concat_cut_in_the_middle(query, key, kind, W=None, v=None):
    if kind == "concat":
        d = len(W) // 2
        return np.tanh((query @ W[:d])[:, :, None] + (key @ W[d:])[:, None]) @ v
    return scores_by_products(query, key, kind, W, v)


# every place of a location score is returned
@wrong("luong_score", says="take the first S of them")
def location_with_all_places(query, key, kind, W=None, v=None):
    return query @ W if kind == "location" else scores_by_products(query, key, kind, W, v)


# the last S places
@wrong("luong_score", says="the last S places of W were taken")
def location_with_the_last_places(query, key, kind, W=None, v=None):
    if kind == "location":
        return (query @ W)[:, :, -key.shape[1] :]
    return scores_by_products(query, key, kind, W, v)


# the first T places: the wrong axis's length
@wrong("luong_score", says="W was cut after T places")
def location_with_T_places(query, key, kind, W=None, v=None):
    if kind == "location":
        return (query @ W)[:, :, : query.shape[1]]
    return scores_by_products(query, key, kind, W, v)


# a tanh in location
@wrong("luong_score", says="there is no tanh in this score")
def location_with_tanh(query, key, kind, W=None, v=None):
    scores = scores_by_products(query, key, kind, W, v)
    return np.tanh(scores) if kind == "location" else scores


# the softmax is in it
@wrong("luong_score", says="the softmax was taken: asked for are the scores")
def score_with_softmax(query, key, kind, W=None, v=None):
    return softmax(scores_by_products(query, key, kind, W, v))


# keys along rows, queries along columns
@wrong("luong_score", says="rows are queries, columns are keys")
def scores_turned_round(query, key, kind, W=None, v=None):
    return scores_by_products(query, key, kind, W, v).swapaxes(1, 2)


# location looks at the keys
@wrong("luong_score", says="a location score reads no key")
def location_plus_dot(query, key, kind, W=None, v=None):
    scores = scores_by_products(query, key, kind, W, v)
    if kind == "location" and query.shape[-1] == key.shape[-1]:
        return scores + query @ key.swapaxes(1, 2)
    return scores


# a tanh in general
@wrong("luong_score", says="around q W neither")
def general_with_tanh(query, key, kind, W=None, v=None):
    if kind == "general":
        return np.tanh(query @ W) @ key.swapaxes(1, 2)
    return scores_by_products(query, key, kind, W, v)


# the keys of all sentences meet
@wrong("luong_score", says="meet the keys of the first one")
def keys_of_the_first_sentence(query, key, kind, W=None, v=None):
    return scores_by_products(query, np.broadcast_to(key[:1], key.shape), kind, W, v)


# ---------------------------------------------------------------- 4.3 count_multiplications


@right("count_multiplications")
def count_by_formula(kind, T, S, d_q, d_k, A):
    return {
        "dot": T * S * d_k,
        "general": S * d_k * d_q + T * S * d_q,
        "concat": (T * d_q + S * d_k + T * S) * A,
        "location": T * S * d_q,
    }[kind]


@right("count_multiplications")
def count_by_walking(kind, T, S, d_q, d_k, A):
    count = 0
    for _ in range(S):
        if kind == "general":
            count += d_q * d_k
        if kind == "concat":
            count += d_k * A
    for _ in range(T):
        if kind == "concat":
            count += d_q * A
        for _ in range(S):
            count += {"dot": d_q, "general": d_q, "concat": A, "location": d_q}[kind]
    return count


@right("count_multiplications")
def count_by_products(kind, T, S, d_q, d_k, A):
    products = {
        "dot": [(T, d_q, S)],
        "general": [(d_q, d_k, S), (T, d_q, S)],
        "concat": [(S, d_k, A), (T, d_q, A), (T * S, A, 1)],
        "location": [(T, d_q, S)],
    }
    return np.prod(products[kind], axis=1).sum()


# general: the queries meet W, not the keys
@wrong("count_multiplications", says="W meets the queries here")
def general_projects_the_queries(kind, T, S, d_q, d_k, A):
    if kind == "general":
        return T * d_q * d_k + T * S * d_k
    return count_by_formula(kind, T, S, d_q, d_k, A)


# general: keys projected anew at every step
@wrong("count_multiplications", says="projected anew at each step")
def general_keys_anew(kind, T, S, d_q, d_k, A):
    if kind == "general":
        return T * (S * d_q * d_k + S * d_q)
    return count_by_formula(kind, T, S, d_q, d_k, A)


# general: the projected keys are taken to be as long as before
@wrong("count_multiplications", says="so a pair costs d_q")
def general_dot_of_the_wrong_length(kind, T, S, d_q, d_k, A):
    if kind == "general":
        return S * d_q * d_k + T * S * d_k
    return count_by_formula(kind, T, S, d_q, d_k, A)


# general: the projection alone
@wrong("count_multiplications", says="the pairs are missing")
def general_without_pairs(kind, T, S, d_q, d_k, A):
    return S * d_q * d_k if kind == "general" else count_by_formula(kind, T, S, d_q, d_k, A)


# general: the dot products alone
@wrong("count_multiplications", says="the keys' projection is left out")
def general_without_projection(kind, T, S, d_q, d_k, A):
    return T * S * d_q if kind == "general" else count_by_formula(kind, T, S, d_q, d_k, A)


# concat: the joined vectors of all pairs
@wrong("count_multiplications", says="made anew for each pair")
def concat_of_all_pairs(kind, T, S, d_q, d_k, A):
    if kind == "concat":
        return T * S * ((d_q + d_k) * A + A)
    return count_by_formula(kind, T, S, d_q, d_k, A)


# concat: keys projected anew at every step
@wrong("count_multiplications", says="projected anew at each step")
def concat_keys_anew(kind, T, S, d_q, d_k, A):
    if kind == "concat":
        return T * (d_q * A + S * d_k * A + S * A)
    return count_by_formula(kind, T, S, d_q, d_k, A)


# concat: the query's part for each pair
@wrong("count_multiplications", says="each query is projected anew for each key")
def concat_query_for_each_pair(kind, T, S, d_q, d_k, A):
    if kind == "concat":
        return S * d_k * A + T * S * (d_q * A + A)
    return count_by_formula(kind, T, S, d_q, d_k, A)


# concat: v is forgotten
@wrong("count_multiplications", says="v is missing")
def count_without_v(kind, T, S, d_q, d_k, A):
    if kind == "concat":
        return (T * d_q + S * d_k) * A
    return count_by_formula(kind, T, S, d_q, d_k, A)


# concat: the query's part is forgotten
@wrong("count_multiplications", says="the queries' projection is left out")
def concat_query_forgotten(kind, T, S, d_q, d_k, A):
    if kind == "concat":
        return (S * d_k + T * S) * A
    return count_by_formula(kind, T, S, d_q, d_k, A)


# concat: the two sizes in each other's place
@wrong("count_multiplications", says="two of these changed places")
def concat_sizes_swapped(kind, T, S, d_q, d_k, A):
    if kind == "concat":
        return (T * d_k + S * d_q + T * S) * A
    return count_by_formula(kind, T, S, d_q, d_k, A)


# concat: tanh is counted
@wrong("count_multiplications", says="the tanh was counted")
def tanh_counted(kind, T, S, d_q, d_k, A):
    return count_by_formula(kind, T, S, d_q, d_k, A) + (T * S * A if kind == "concat" else 0)


# additions are counted, too
@wrong("count_multiplications", says="additions were counted as well")
def additions_counted(kind, T, S, d_q, d_k, A):
    return 2 * count_by_formula(kind, T, S, d_q, d_k, A)


# location: a dot product with the keys after it
@wrong("count_multiplications", says="a location score reads no key")
def location_with_a_dot_product(kind, T, S, d_q, d_k, A):
    if kind == "location":
        return T * S * d_q + T * S * d_k
    return count_by_formula(kind, T, S, d_q, d_k, A)


# location: as long as the keys
@wrong("count_multiplications", says="a query has d_q numbers, not d_k")
def location_as_long_as_keys(kind, T, S, d_q, d_k, A):
    return T * S * d_k if kind == "location" else count_by_formula(kind, T, S, d_q, d_k, A)


# location: scores for one query only
@wrong("count_multiplications", says="the queries are projected once a sentence")
def location_once(kind, T, S, d_q, d_k, A):
    return S * d_q if kind == "location" else count_by_formula(kind, T, S, d_q, d_k, A)


# dot: the pairs, without the length of the vectors
@wrong("count_multiplications", says="a pair was counted once")
def dot_counts_pairs(kind, T, S, d_q, d_k, A):
    return T * S if kind == "dot" else count_by_formula(kind, T, S, d_q, d_k, A)


# queries and keys in each other's place everywhere
@wrong("count_multiplications", says="T and S changed places")
def T_and_S_swapped(kind, T, S, d_q, d_k, A):
    return count_by_formula(kind, S, T, d_q, d_k, A)


# ---------------------------------------------------------------- 4.4 attentional_state


@right("attentional_state")
def mix_by_einsum(context, state, W_c, dattentional):
    joined = np.concatenate([context, state], axis=-1)
    attentional = np.tanh(joined @ W_c)
    dz = dattentional * (1 - attentional**2)
    djoined = dz @ W_c.T
    d_v = context.shape[-1]
    dW_c = np.einsum("bti,bth->ih", joined, dz)
    return attentional, djoined[..., :d_v], djoined[..., d_v:], dW_c


@right("attentional_state")
def mix_with_loops(context, state, W_c, dattentional):
    B, T, d_v = context.shape
    H = state.shape[2]
    attentional = np.zeros((B, T, H))
    dcontext, dstate, dW_c = np.zeros_like(context), np.zeros_like(state), np.zeros_like(W_c)
    for b in range(B):
        for t in range(T):
            x = np.r_[context[b, t], state[b, t]]
            h = np.tanh(x @ W_c)
            dz = dattentional[b, t] / np.cosh(x @ W_c) ** 2
            attentional[b, t] = h
            dW_c += np.outer(x, dz)
            dx = W_c @ dz
            dcontext[b, t], dstate[b, t] = dx[:d_v], dx[d_v:]
    return [attentional, dcontext, dstate, dW_c]


@right("attentional_state")
def mix_of_two_products(context, state, W_c, dattentional):
    d_v, H = context.shape[-1], state.shape[-1]
    top, bottom = np.split(W_c, [d_v])
    attentional = np.tanh(context @ top + state @ bottom)
    dz = (1 - attentional) * (1 + attentional) * dattentional
    rows = dz.reshape(-1, H)
    dW_c = np.vstack([context.reshape(-1, d_v).T @ rows, state.reshape(-1, H).T @ rows])
    return attentional, dz @ top.T, dz @ bottom.T, dW_c


@right("attentional_state")
def mix_by_autograd(context, state, W_c, dattentional):
    import torch

    inputs = [torch.tensor(np.array(a), requires_grad=True) for a in (context, state, W_c)]
    out = torch.tanh(torch.cat(inputs[:2], dim=-1) @ inputs[2])
    grads = torch.autograd.grad(out, inputs, torch.as_tensor(np.array(dattentional)))
    return (out.detach().numpy(), *(g.numpy() for g in grads))


# no tanh at all
@wrong("attentional_state", says="the tanh is missing")
def mix_without_tanh(context, state, W_c, dattentional):
    joined = np.concatenate([context, state], axis=-1)
    dx = dattentional @ W_c.T
    d_v = context.shape[-1]
    dW_c = np.einsum("bti,bth->ih", joined, dattentional)
    return joined @ W_c, dx[..., :d_v], dx[..., d_v:], dW_c


def _mix(context, state, W_c, dattentional, slope):
    """Forward, and backward with this slope: a function of the result and what tanh was given."""
    joined = np.concatenate([context, state], axis=-1)
    attentional = np.tanh(joined @ W_c)
    dz = dattentional * slope(attentional, joined @ W_c)
    dx = dz @ W_c.T
    d_v = context.shape[-1]
    return attentional, dx[..., :d_v], dx[..., d_v:], np.einsum("bti,bth->ih", joined, dz)


# the slope of tanh is forgotten
@wrong("attentional_state", says="the slope of tanh is missing")
def slope_forgotten(context, state, W_c, dattentional):
    return _mix(context, state, W_c, dattentional, lambda h, z: 1)


# the slope with what tanh was given instead of its result
@wrong("attentional_state", says="not of the sum before it")
def slope_of_the_input(context, state, W_c, dattentional):
    return _mix(context, state, W_c, dattentional, lambda h, z: 1 - z**2)


# the square of tanh is forgotten
@wrong("attentional_state", says="the square is missing")
def slope_without_square(context, state, W_c, dattentional):
    return _mix(context, state, W_c, dattentional, lambda h, z: 1 - h)


# the slope of a sigmoid
@wrong("attentional_state", says="the slope of σ was taken")
def slope_of_a_sigmoid(context, state, W_c, dattentional):
    return _mix(context, state, W_c, dattentional, lambda h, z: h * (1 - h))


# tanh of the result once more
@wrong("attentional_state", says="tanh was taken of it again")
def slope_with_tanh_twice(context, state, W_c, dattentional):
    return _mix(context, state, W_c, dattentional, lambda h, z: 1 - np.tanh(h) ** 2)


# the state first
@wrong("attentional_state", says="joined as [s; c]")
def mix_state_first(context, state, W_c, dattentional):
    h, dstate, dcontext, dW_c = _mix(state, context, W_c, dattentional, lambda h, z: 1 - h**2)
    return h, dcontext, dstate, dW_c


# the gradient is cut at H, not at d_v
@wrong("attentional_state", says="it was cut at H")
def cut_at_H(context, state, W_c, dattentional):
    h, dcontext, dstate, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    dx = np.concatenate([dcontext, dstate], axis=-1)
    H = state.shape[-1]
    return h, dx[..., :H], dx[..., H:], dW_c


# the gradient is cut in the middle
@wrong("attentional_state", says="or in the middle")
def cut_in_the_middle(context, state, W_c, dattentional):
    h, dcontext, dstate, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    return h, *np.array_split(np.concatenate([dcontext, dstate], axis=-1), 2, axis=-1), dW_c


# dstate comes first
@wrong("attentional_state", says="dcontext and dstate changed places")
def gradients_swapped(context, state, W_c, dattentional):
    h, dcontext, dstate, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    return h, dstate, dcontext, dW_c


# dW_c: the mean over sentences
@wrong("attentional_state", says="it is a mean")
def dW_c_mean_over_the_batch(context, state, W_c, dattentional):
    *first, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    return *first, dW_c / len(context)


# dW_c: the mean over sentences and steps
@wrong("attentional_state", says="it is a mean")
def dW_c_mean_over_all(context, state, W_c, dattentional):
    *first, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    return *first, dW_c / context.shape[0] / context.shape[1]


# dW_c: one for each sentence
@wrong("attentional_state", says="not added up over the batch")
def dW_c_for_each_sentence(context, state, W_c, dattentional):
    h, dcontext, dstate, _ = mix_by_einsum(context, state, W_c, dattentional)
    joined = np.concatenate([context, state], axis=-1)
    return h, dcontext, dstate, joined.swapaxes(1, 2) @ (dattentional * (1 - h**2))


# dW_c: of the last step only
@wrong("attentional_state", says="only the last step is in it")
def dW_c_of_the_last_step(context, state, W_c, dattentional):
    h, dcontext, dstate, _ = mix_by_einsum(context, state, W_c, dattentional)
    joined = np.concatenate([context, state], axis=-1)
    dz = dattentional * (1 - h**2)
    return h, dcontext, dstate, joined[:, -1].T @ dz[:, -1]


# dW_c: of the first sentence only
@wrong("attentional_state", says="only the first sentence is in it")
def dW_c_of_the_first_sentence(context, state, W_c, dattentional):
    h, dcontext, dstate, _ = mix_by_einsum(context, state, W_c, dattentional)
    joined = np.concatenate([context, state], axis=-1)
    dz = dattentional * (1 - h**2)
    return h, dcontext, dstate, joined[0].T @ dz[0]


# dW_c: transposed
@wrong("attentional_state", says="it is turned round")
def dW_c_transposed(context, state, W_c, dattentional):
    *first, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    return *first, dW_c.T


# dW_c: without the slope
@wrong("attentional_state", says="the slope of tanh is missing")
def dW_c_without_slope(context, state, W_c, dattentional):
    h, dcontext, dstate, _ = mix_by_einsum(context, state, W_c, dattentional)
    joined = np.concatenate([context, state], axis=-1)
    return h, dcontext, dstate, np.einsum("bti,bth->ih", joined, dattentional)


# dcontext and dstate: without the slope
@wrong("attentional_state", says="the slope of tanh is missing")
def dinputs_without_slope(context, state, W_c, dattentional):
    h, _, _, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    dx = dattentional @ W_c.T
    d_v = context.shape[-1]
    return h, dx[..., :d_v], dx[..., d_v:], dW_c


# the argument itself is changed
@wrong("attentional_state", says="an assignment into dattentional")
def writes_into_dattentional(context, state, W_c, dattentional):
    joined = np.concatenate([context, state], axis=-1)
    h = np.tanh(joined @ W_c)
    dattentional *= 1 - h**2
    dx = dattentional @ W_c.T
    d_v = context.shape[-1]
    dW_c = np.einsum("bti,bth->ih", joined, dattentional)
    return h, dx[..., :d_v], dx[..., d_v:], dW_c


# a residual path that is not there
@wrong("attentional_state", says="dattentional itself was added")
def dattentional_added_to_dstate(context, state, W_c, dattentional):
    h, dcontext, dstate, dW_c = mix_by_einsum(context, state, W_c, dattentional)
    return h, dcontext, dstate + dattentional, dW_c


# ---------------------------------------------------------------- 4.5 luong_step


@right("luong_step")
def step_in_order(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
    return speak(attentional), state, attentional, weights


@right("luong_step")
def step_of_two_products(word, state, feed, move, look, speak, W_c):
    after = move(np.hstack((word, feed)), state)
    context, weights = look(after)
    d_v = np.shape(context)[1]
    said = np.tanh(np.einsum("bv,vh->bh", context, W_c[:d_v]) + after @ W_c[d_v:])
    logits = speak(said)
    return [logits, after, said, weights]


@right("luong_step")
def step_sentence_by_sentence(word, state, feed, move, look, speak, W_c):
    new = move(np.array([[*w, *f] for w, f in zip(word, feed, strict=True)]), state)
    context, weights = look(new)
    rows = [
        [math.tanh(np.dot(np.append(c, s), column)) for column in W_c.T]
        for c, s in zip(context, new, strict=True)
    ]
    attentional = np.array(rows)
    return speak(attentional), new, attentional, weights


@wrong("luong_step", says="it asks before it has moved")
def step_as_found(word, state, feed, move, look, speak, W_c):
    context, weights = look(state)
    state = move(np.concatenate([word, feed], axis=1), state)
    combined = np.concatenate([context, state], axis=1)
    return speak(combined @ W_c), state, context, weights


# one mistake is left: the look with the old state
@wrong("luong_step", says="it asks before it has moved")
def looks_before_it_moves(word, state, feed, move, look, speak, W_c):
    context, weights = look(state)
    state = move(np.concatenate([word, feed], axis=1), state)
    attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
    return speak(attentional), state, attentional, weights


# one mistake is left: no tanh
@wrong("luong_step", says="the tanh is missing")
def step_without_tanh(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    attentional = np.concatenate([context, state], axis=1) @ W_c
    return speak(attentional), state, attentional, weights


# one mistake is left: the context is fed
@wrong("luong_step", says="it is the context alone")
def context_is_fed(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
    return speak(attentional), state, context, weights


# the readout hears what has not been squashed, the next step what has
@wrong("luong_step", says="`speak` is given h̃ = tanh")
def squashed_for_the_next_step_only(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    combined = np.concatenate([context, state], axis=1) @ W_c
    return speak(combined), state, np.tanh(combined), weights


# the readout hears what has been squashed, the next step what has not
@wrong("luong_step", says="handed on has not been through the tanh")
def squashed_for_the_readout_only(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    combined = np.concatenate([context, state], axis=1) @ W_c
    return speak(np.tanh(combined)), state, combined, weights


# tanh before the product
@wrong("luong_step", says="the tanh stands before W_c")
def tanh_before_the_product(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    attentional = np.tanh(np.concatenate([context, state], axis=1)) @ W_c
    return speak(attentional), state, attentional, weights


# tanh around the readout
@wrong("luong_step", says="the tanh is missing")
def tanh_of_the_logits(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    attentional = np.concatenate([context, state], axis=1) @ W_c
    return np.tanh(speak(attentional)), state, attentional, weights


# the state before this step is handed on
@wrong("luong_step", says="it is the state before the step")
def old_state_handed_on(word, state, feed, move, look, speak, W_c):
    new = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(new)
    attentional = np.tanh(np.concatenate([context, new], axis=1) @ W_c)
    return speak(attentional), state, attentional, weights


# the old state in the mix
@wrong("luong_step", says="mixed with the state *before* the move")
def old_state_in_the_mix(word, state, feed, move, look, speak, W_c):
    new = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(new)
    attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
    return speak(attentional), new, attentional, weights


# the state before the context in the mix
@wrong("luong_step", says="joined as [s; c]")
def step_state_first(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    attentional = np.tanh(np.concatenate([state, context], axis=1) @ W_c)
    return speak(attentional), state, attentional, weights


# the fed vector before the word
@wrong("luong_step", says="joined the other way round")
def feed_before_word(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([feed, word], axis=1), state)
    context, weights = look(state)
    attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
    return speak(attentional), state, attentional, weights


# nothing is fed
@wrong("luong_step", says="zeros are fed")
def zeros_are_fed(word, state, feed, move, look, speak, W_c):
    return step_in_order(word, state, np.zeros_like(feed), move, look, speak, W_c)


# the attentional state is handed on as the state
@wrong("luong_step", says="h̃ is handed on as the state")
def attentional_as_state(word, state, feed, move, look, speak, W_c):
    logits, state, attentional, weights = step_in_order(word, state, feed, move, look, speak, W_c)
    return logits, attentional, attentional, weights


# the state speaks
@wrong("luong_step", says="it is the state alone")
def the_state_speaks(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(state)
    attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
    return speak(state), state, attentional, weights


# results in another order
@wrong("luong_step", says="state and attentional state changed places")
def attentional_before_state(word, state, feed, move, look, speak, W_c):
    logits, state, attentional, weights = step_in_order(word, state, feed, move, look, speak, W_c)
    return logits, attentional, state, weights


# one look before and one after the move
@wrong("luong_step", says="`look` is called 2 times")
def looks_twice(word, state, feed, move, look, speak, W_c):
    look(state)
    return step_in_order(word, state, feed, move, look, speak, W_c)


# the last attentional state is the query
@wrong("luong_step", says="what was fed asks")
def looks_with_the_feed(word, state, feed, move, look, speak, W_c):
    state = move(np.concatenate([word, feed], axis=1), state)
    context, weights = look(feed)
    attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
    return speak(attentional), state, attentional, weights


# ---------------------------------------------------------------- 4.6 feed_and_decode


@right("feed_and_decode")
def decode_with_lists(words, state, move, look, W_c, feeding):
    B, T, _ = words.shape
    fed = np.zeros((B, W_c.shape[1]))
    said, looks = [], []
    for t in range(T):
        state = move(np.concatenate([words[:, t], fed], axis=1), state)
        context, weights = look(state)
        attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
        said.append(attentional)
        looks.append(weights)
        if feeding:
            fed = attentional
    return np.stack(said, axis=1), np.stack(looks, axis=1)


@right("feed_and_decode")
def decode_by_recursion(words, state, move, look, W_c, feeding):
    nothing = np.zeros_like(state)

    def rest(t, state, fed):
        if t == words.shape[1]:
            return []
        state = move(np.hstack([words[:, t], fed if feeding else nothing]), state)
        context, weights = look(state)
        d_v = context.shape[1]
        h = np.tanh(context @ W_c[:d_v] + state @ W_c[d_v:])
        return [(h, weights), *rest(t + 1, state, h)]

    said, looks = zip(*rest(0, state, nothing), strict=True)
    return np.array(said).swapaxes(0, 1), np.array(looks).transpose(1, 0, 2)


@right("feed_and_decode")
def decode_into_arrays(words, state, move, look, W_c, feeding):
    B, T, E = words.shape
    H = W_c.shape[1]
    attentional = np.zeros((B, T + 1, H))
    weights = None
    for t in range(1, T + 1):
        x = np.empty((B, E + H))
        x[:, :E] = words[:, t - 1]
        x[:, E:] = attentional[:, t - 1] * float(feeding)
        state = move(x, state)
        c, w = look(state)
        if weights is None:
            weights = np.empty((B, T, w.shape[1]))
        weights[:, t - 1] = w
        attentional[:, t] = np.tanh(np.c_[c, state] @ W_c)
    return attentional[:, 1:], weights


def _decode(words, state, move, look, W_c, feeding, first=None, leaves=None):
    """A loop as above; `leaves(attentional, context, state)` is what is fed to the next step."""
    fed = np.zeros((len(words), W_c.shape[1])) if first is None else first
    said, looks = [], []
    for t in range(words.shape[1]):
        state = move(np.concatenate([words[:, t], fed], axis=1), state)
        context, weights = look(state)
        attentional = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
        said.append(attentional)
        looks.append(weights)
        if feeding:
            fed = attentional if leaves is None else leaves(attentional, context, state)
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# always fed
@wrong("feed_and_decode", says="`feeding` was not read")
def switch_ignored_always_fed(words, state, move, look, W_c, feeding):
    return _decode(words, state, move, look, W_c, True)


# never fed
@wrong("feed_and_decode", says="zeros are fed although `feeding` is True")
def switch_ignored_never_fed(words, state, move, look, W_c, feeding):
    return _decode(words, state, move, look, W_c, False)


# the switch upside down
@wrong("feed_and_decode", says="the switch is upside down")
def switch_upside_down(words, state, move, look, W_c, feeding):
    return _decode(words, state, move, look, W_c, not feeding)


# the state is fed
@wrong("feed_and_decode", says="the state is fed")
def the_state_is_fed(words, state, move, look, W_c, feeding):
    return _decode(words, state, move, look, W_c, feeding, leaves=lambda h, c, s: s)


# the context is fed
@wrong("feed_and_decode", says="the context is fed, not h̃")
def the_context_is_fed(words, state, move, look, W_c, feeding):
    return _decode(words, state, move, look, W_c, feeding, leaves=lambda h, c, s: c)


# the first step is fed the first state
@wrong("feed_and_decode", says="the first step is fed the first state")
def first_fed_the_state(words, state, move, look, W_c, feeding):
    return _decode(words, state, move, look, W_c, feeding, first=state)


# with the switch off, the first state is fed at every step
@wrong("feed_and_decode", says="the first state is fed at every step")
def first_state_fed_without_feeding(words, state, move, look, W_c, feeding):
    first = None if feeding else state
    return _decode(words, state, move, look, W_c, feeding, first=first)


# without feeding the place for it is left out
@wrong("feed_and_decode", says="without feeding zeros are fed")
def place_left_out(words, state, move, look, W_c, feeding):
    if feeding:
        return _decode(words, state, move, look, W_c, True)
    said, looks = [], []
    for t in range(words.shape[1]):
        state = move(words[:, t], state)
        context, weights = look(state)
        said.append(np.tanh(np.concatenate([context, state], axis=1) @ W_c))
        looks.append(weights)
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# the steps along the first axis
@wrong("feed_and_decode", says="the axes are T, B")
def steps_along_the_first_axis(words, state, move, look, W_c, feeding):
    said, looks = _decode(words, state, move, look, W_c, feeding)
    return said.swapaxes(0, 1), looks.swapaxes(0, 1)


# joined along the features
@wrong("feed_and_decode", says="joined along the features")
def joined_along_features(words, state, move, look, W_c, feeding):
    said, looks = _decode(words, state, move, look, W_c, feeding)
    return np.concatenate(list(said.swapaxes(0, 1)), axis=-1), looks


# every step starts at the first state
@wrong("feed_and_decode", says="starts from the first state again")
def state_not_carried(words, state, move, look, W_c, feeding):
    fed = np.zeros((len(words), W_c.shape[1]))
    said, looks = [], []
    for t in range(words.shape[1]):
        s = move(np.concatenate([words[:, t], fed], axis=1), state)
        context, weights = look(s)
        said.append(np.tanh(np.concatenate([context, s], axis=1) @ W_c))
        looks.append(weights)
        if feeding:
            fed = said[-1]
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# without feeding the state starts anew, too: the switch cuts the recurrence
@wrong("feed_and_decode", says="starts from the first state again")
def without_feeding_no_state(words, state, move, look, W_c, feeding):
    if feeding:
        return _decode(words, state, move, look, W_c, True)
    return state_not_carried(words, state, move, look, W_c, False)


# the attentional state is carried in place of the state
@wrong("feed_and_decode", says="h̃ is handed on as the state")
def attentional_carried_as_state(words, state, move, look, W_c, feeding):
    fed = np.zeros((len(words), W_c.shape[1]))
    said, looks = [], []
    for t in range(words.shape[1]):
        state = move(np.concatenate([words[:, t], fed], axis=1), state)
        context, weights = look(state)
        state = np.tanh(np.concatenate([context, state], axis=1) @ W_c)
        said.append(state)
        looks.append(weights)
        if feeding:
            fed = state
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# look, then move
@wrong("feed_and_decode", says="the state before the move asks")
def decode_looks_first(words, state, move, look, W_c, feeding):
    fed = np.zeros((len(words), W_c.shape[1]))
    said, looks = [], []
    for t in range(words.shape[1]):
        context, weights = look(state)
        state = move(np.concatenate([words[:, t], fed], axis=1), state)
        said.append(np.tanh(np.concatenate([context, state], axis=1) @ W_c))
        looks.append(weights)
        if feeding:
            fed = said[-1]
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# what is fed before the word
@wrong("feed_and_decode", says="x is [word; feed], in this order")
def decode_feed_before_word(words, state, move, look, W_c, feeding):
    E = words.shape[2]

    def turned(x, state):
        return move(np.concatenate([x[:, E:], x[:, :E]], axis=1), state)

    return _decode(words, state, turned, look, W_c, feeding)


# the state before the context
@wrong("feed_and_decode", says="[s; c] instead of [c; s]")
def decode_state_first(words, state, move, look, W_c, feeding):
    fed = np.zeros((len(words), W_c.shape[1]))
    said, looks = [], []
    for t in range(words.shape[1]):
        state = move(np.concatenate([words[:, t], fed], axis=1), state)
        context, weights = look(state)
        said.append(np.tanh(np.concatenate([state, context], axis=1) @ W_c))
        looks.append(weights)
        if feeding:
            fed = said[-1]
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# no tanh
@wrong("feed_and_decode", says="the tanh of h̃ is missing")
def decode_without_tanh(words, state, move, look, W_c, feeding):
    fed = np.zeros((len(words), W_c.shape[1]))
    said, looks = [], []
    for t in range(words.shape[1]):
        state = move(np.concatenate([words[:, t], fed], axis=1), state)
        context, weights = look(state)
        said.append(np.concatenate([context, state], axis=1) @ W_c)
        looks.append(weights)
        if feeding:
            fed = said[-1]
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# fed one step too late
@wrong("feed_and_decode", says="one step too old")
def fed_one_step_late(words, state, move, look, W_c, feeding):
    fed = late = np.zeros((len(words), W_c.shape[1]))
    said, looks = [], []
    for t in range(words.shape[1]):
        state = move(np.concatenate([words[:, t], late], axis=1), state)
        context, weights = look(state)
        said.append(np.tanh(np.concatenate([context, state], axis=1) @ W_c))
        looks.append(weights)
        if feeding:
            late, fed = fed, said[-1]
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# the sum of all attentional states is fed
@wrong("feed_and_decode", says="the sum of all h̃ so far")
def fed_and_added(words, state, move, look, W_c, feeding):
    fed = np.zeros((len(words), W_c.shape[1]))
    said, looks = [], []
    for t in range(words.shape[1]):
        state = move(np.concatenate([words[:, t], fed], axis=1), state)
        context, weights = look(state)
        said.append(np.tanh(np.concatenate([context, state], axis=1) @ W_c))
        looks.append(weights)
        if feeding:
            fed = fed + said[-1]
    return np.stack(said, axis=1), np.stack(looks, axis=1)


# the weights of the last look only
@wrong("feed_and_decode", says="only the last step was returned")
def last_weights_only(words, state, move, look, W_c, feeding):
    said, looks = _decode(words, state, move, look, W_c, feeding)
    return said, looks[:, -1]


# the first word is read at every step
@wrong("feed_and_decode", says="every step reads the first word")
def one_word_for_all(words, state, move, look, W_c, feeding):
    same = np.repeat(words[:, :1], words.shape[1], axis=1)
    return _decode(same, state, move, look, W_c, feeding)


# the last word is left out, as if the words still had to be shifted
@wrong("feed_and_decode", says="a step is missing")
def last_word_left_out(words, state, move, look, W_c, feeding):
    return _decode(words[:, :-1], state, move, look, W_c, feeding)


# ---------------------------------------------------------------- 4.7 all_at_once


def _states(words, state, move):
    states = []
    for t in range(words.shape[1]):
        state = move(words[:, t], state)
        states.append(state)
    return np.stack(states, axis=1)


@right("all_at_once")
def looks_by_products(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = states @ keys.swapaxes(1, 2)
    weights = softmax(np.where(mask[:, None], scores, -np.inf))
    context = weights @ keys
    return np.tanh(np.concatenate([context, states], axis=-1) @ W_c), weights


@right("all_at_once")
def looks_by_einsum(words, state, move, keys, mask, W_c):
    B, T, _ = words.shape
    H = keys.shape[2]
    states = np.empty((B, T, H))
    for t in range(T):
        states[:, t] = state = move(words[:, t], state)
    scores = np.einsum("bth,bsh->bts", states, keys)
    scores[np.broadcast_to(~mask[:, None, :], scores.shape)] = -np.inf
    e = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights = e / e.sum(axis=2, keepdims=True)
    context = np.einsum("bts,bsh->bth", weights, keys)
    return [np.tanh(context @ W_c[:H] + states @ W_c[H:]), weights]


@right("all_at_once")
def looks_by_torch(words, state, move, keys, mask, W_c):
    import torch

    s = torch.as_tensor(_states(words, state, move))
    k, hidden = torch.as_tensor(np.array(keys)), ~torch.as_tensor(np.array(mask))
    scores = torch.baddbmm(torch.zeros(1, dtype=s.dtype), s, k.mT)
    a = scores.masked_fill(hidden.unsqueeze(1), -torch.inf).softmax(dim=-1)
    h = torch.cat([a @ k, s], dim=2).matmul(torch.as_tensor(np.array(W_c))).tanh()
    return h.numpy(), a.numpy()


@right("all_at_once")
def looks_with_log_of_the_mask(words, state, move, keys, mask, W_c):
    rows = []
    for word in np.moveaxis(words, 1, 0):
        rows.append(state := move(word, state))
    states = np.array(rows).transpose(1, 0, 2)
    with np.errstate(divide="ignore"):
        scores = states @ keys.transpose(0, 2, 1) + np.log(mask)[:, np.newaxis, :]
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True))
    return np.tanh(np.dstack([weights @ keys, states]) @ W_c), weights


def _looks(states, scores, keys, W_c):
    weights = softmax(scores)
    return np.tanh(np.concatenate([weights @ keys, states], axis=-1) @ W_c), weights


# no mask
@wrong("all_at_once", says="the mask is not used")
def looks_without_mask(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    return _looks(states, states @ keys.swapaxes(1, 2), keys, W_c)


# the mask upside down
@wrong("all_at_once", says="the mask was turned round")
def mask_upside_down(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = np.where(mask[:, None], -np.inf, states @ keys.swapaxes(1, 2))
    return _looks(states, scores, keys, W_c)


# the mask after the softmax, nothing made to sum to 1
@wrong("all_at_once", says="masked after the softmax")
def mask_after_the_softmax(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    weights = softmax(states @ keys.swapaxes(1, 2)) * mask[:, None]
    return np.tanh(np.concatenate([weights @ keys, states], axis=-1) @ W_c), weights


# the scores of padding are 0
@wrong("all_at_once", says="0 is a score like others")
def mask_makes_scores_zero(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    return _looks(states, states @ keys.swapaxes(1, 2) * mask[:, None], keys, W_c)


# the keys of padding are 0, and so are their scores
@wrong("all_at_once", says="0 is a score like others")
def mask_makes_keys_zero(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    keys = keys * mask[:, :, None]
    return _looks(states, states @ keys.swapaxes(1, 2), keys, W_c)


# a number that is not small enough
@wrong("all_at_once", says="in the place of −∞")
def minus_one_hundred(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = np.where(mask[:, None], states @ keys.swapaxes(1, 2), -100.0)
    return _looks(states, scores, keys, W_c)


# a large number is subtracted: padding with a large score comes back
@wrong("all_at_once", says="or subtracted, and there are real scores")
def one_hundred_subtracted(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = states @ keys.swapaxes(1, 2) - 100.0 * ~mask[:, None]
    return _looks(states, scores, keys, W_c)


# the mask of the first sentence for all
@wrong("all_at_once", says="the mask of the first sentence")
def mask_of_the_first_sentence(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = np.where(mask[0], states @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# the mask is lined up with the steps
@wrong("all_at_once", says="lies along T")
def mask_lined_up_with_steps(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = np.where(mask, states @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# softmax over the steps
@wrong("all_at_once", says="ran over the steps T")
def softmax_over_the_steps(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = np.where(mask[:, None], states @ keys.swapaxes(1, 2), -1e9)
    weights = softmax(scores.swapaxes(1, 2)).swapaxes(1, 2)
    return np.tanh(np.concatenate([weights @ keys, states], axis=-1) @ W_c), weights


# exp overflows
@wrong("all_at_once", says="exp of a large score")
def exp_of_large_scores(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    with np.errstate(all="ignore"):
        e = np.exp(states @ keys.swapaxes(1, 2)) * mask[:, None]
        weights = e / e.sum(axis=-1, keepdims=True)
    return np.tanh(np.concatenate([weights @ keys, states], axis=-1) @ W_c), weights


# the largest score is looked for among the padding, too
@wrong("all_at_once", says="looked for among the padding, too")
def largest_score_is_padding(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = states @ keys.swapaxes(1, 2)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask[:, None]
    with np.errstate(all="ignore"):
        weights = e / e.sum(axis=-1, keepdims=True)
    return np.tanh(np.concatenate([weights @ keys, states], axis=-1) @ W_c), weights


# the same with a small number against the division by 0
@wrong("all_at_once", says="looked for among the padding, too")
def epsilon_in_the_divisor(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = states @ keys.swapaxes(1, 2)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask[:, None]
    weights = e / (e.sum(axis=-1, keepdims=True) + 1e-9)
    return np.tanh(np.concatenate([weights @ keys, states], axis=-1) @ W_c), weights


# scaled as in the Transformer
@wrong("all_at_once", says="divided by √H")
def looks_scaled(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    scores = states @ keys.swapaxes(1, 2) / np.sqrt(keys.shape[-1])
    return _looks(states, np.where(mask[:, None], scores, -np.inf), keys, W_c)


# the queries are the states before the moves
@wrong("all_at_once", says="the states before the moves look")
def states_before_the_moves(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    states = np.concatenate([state[:, None], states[:, :-1]], axis=1)
    scores = np.where(mask[:, None], states @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# the query is the state before the move, the mix takes the one after it
@wrong("all_at_once", says="the states before the moves look")
def queries_before_the_moves(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    queries = np.concatenate([state[:, None], states[:, :-1]], axis=1)
    scores = np.where(mask[:, None], queries @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# the first state has a row, too
@wrong("all_at_once", says="the first state has a row, too")
def first_state_has_a_row(words, state, move, keys, mask, W_c):
    states = np.concatenate([state[:, None], _states(words, state, move)], axis=1)
    scores = np.where(mask[:, None], states @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# every move starts at the first state
@wrong("all_at_once", says="every word starts from the first state")
def moves_from_the_first_state(words, state, move, keys, mask, W_c):
    states = np.stack([move(words[:, t], state) for t in range(words.shape[1])], axis=1)
    scores = np.where(mask[:, None], states @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# a reshape where axes should change places
@wrong("all_at_once", says="the states (T,B,H) were reshaped")
def states_reshaped(words, state, move, keys, mask, W_c):
    B, T, _ = words.shape
    states = _states(words, state, move).swapaxes(0, 1).reshape(B, T, -1)
    scores = np.where(mask[:, None], states @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# the keys are reshaped for the product
@wrong("all_at_once", says="the keys were reshaped")
def keys_reshaped(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    B, S, H = keys.shape
    scores = np.where(mask[:, None], states @ keys.reshape(B, H, S), -np.inf)
    return _looks(states, scores, keys, W_c)


# the state before the context
@wrong("all_at_once", says="[s; c] instead of [c; s]")
def all_state_first(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    weights = softmax(np.where(mask[:, None], states @ keys.swapaxes(1, 2), -np.inf))
    return np.tanh(np.concatenate([states, weights @ keys], axis=-1) @ W_c), weights


# no tanh
@wrong("all_at_once", says="the tanh of h̃ is missing")
def all_without_tanh(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    weights = softmax(np.where(mask[:, None], states @ keys.swapaxes(1, 2), -np.inf))
    return np.concatenate([weights @ keys, states], axis=-1) @ W_c, weights


# the two results in the other order
@wrong("all_at_once", says="attentional comes first, then the weights")
def weights_before_attentional(words, state, move, keys, mask, W_c):
    return looks_by_products(words, state, move, keys, mask, W_c)[::-1]


# the last state asks for all steps
@wrong("all_at_once", says="the last state asks at every step")
def last_state_asks_for_all(words, state, move, keys, mask, W_c):
    states = _states(words, state, move)
    queries = np.repeat(states[:, -1:], words.shape[1], axis=1)
    scores = np.where(mask[:, None], queries @ keys.swapaxes(1, 2), -np.inf)
    return _looks(states, scores, keys, W_c)


# ---------------------------------------------------------------- 4.8 heat_map_matrix


@right("heat_map_matrix")
def map_by_slices(weights, source, target, number, eos):
    words = np.flatnonzero(source[number] == eos)[0]
    said = np.flatnonzero(target[number] == eos)[0]
    return weights[number, :said, :words][:, ::-1]


@right("heat_map_matrix")
def map_entry_by_entry(weights, source, target, number, eos):
    words, said = list(source[number]).index(eos), list(target[number]).index(eos)
    return [[weights[number, t, words - 1 - j] for j in range(words)] for t in range(said)]


@right("heat_map_matrix")
def map_by_index_arrays(weights, source, target, number, eos):
    columns = np.arange((source[number] == eos).argmax())[::-1]
    rows = np.arange((target[number] == eos).argmax())
    return weights[number][np.ix_(rows, columns)]


@right("heat_map_matrix")
def map_by_masks(weights, source, target, number, eos):
    real = np.cumsum(source[number] == eos) == 0
    said = np.cumsum(target[number] == eos) == 0
    return np.fliplr(weights[number][said][:, real].copy())


# the columns as they come
@wrong("heat_map_matrix", says="in which the encoder has read them")
def columns_not_turned(weights, source, target, number, eos):
    return map_by_slices(weights, source, target, number, eos)[:, ::-1]


# turned before it is cut
@wrong("heat_map_matrix", says="padding and all, and cut afterwards")
def turned_before_cut(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    said = (target[number] == eos).argmax()
    return weights[number, :said, ::-1][:, :words]


# both axes turned
@wrong("heat_map_matrix", says="the rows are turned round, too")
def both_axes_turned(weights, source, target, number, eos):
    return map_by_slices(weights, source, target, number, eos)[::-1]


# the rows turned, not the columns
@wrong("heat_map_matrix", says="the columns are not")
def rows_turned(weights, source, target, number, eos):
    return map_by_slices(weights, source, target, number, eos)[::-1, ::-1]


# the row of eos is kept
@wrong("heat_map_matrix", says="the row of <eos> is still there")
def row_of_eos_kept(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    said = (target[number] == eos).argmax()
    return weights[number, : said + 1, :words][:, ::-1]


# the column of eos is kept
@wrong("heat_map_matrix", says="the column of <eos> is still there")
def column_of_eos_kept(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    said = (target[number] == eos).argmax()
    return weights[number, :said, words::-1]


# both are kept
@wrong("heat_map_matrix", says="<eos> is a row and a column")
def row_and_column_of_eos_kept(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    said = (target[number] == eos).argmax()
    return weights[number, : said + 1, : words + 1][:, ::-1]


# a slice that stops before 0: the last word read is lost
@wrong("heat_map_matrix", says="a slice that ends at 0")
def slice_stops_before_zero(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    said = (target[number] == eos).argmax()
    return weights[number, :said, words - 1 : 0 : -1]


# nothing is cut
@wrong("heat_map_matrix", says="nothing is cut")
def nothing_cut(weights, source, target, number, eos):
    return weights[number][:, ::-1]


# rows made to sum to 1
@wrong("heat_map_matrix", says="made to sum to 1 again")
def rows_sum_to_one_again(weights, source, target, number, eos):
    matrix = map_by_slices(weights, source, target, number, eos)
    return matrix / matrix.sum(axis=1, keepdims=True)


# source words as rows
@wrong("heat_map_matrix", says="it is turned round: rows are target words")
def source_words_as_rows(weights, source, target, number, eos):
    return map_by_slices(weights, source, target, number, eos).T


# always the first sentence
@wrong("heat_map_matrix", says="the lengths of sentence 0")
def always_the_first_sentence(weights, source, target, number, eos):
    return map_by_slices(weights, source, target, 0, eos)


# the lengths of the first sentence
@wrong("heat_map_matrix", says="the lengths of sentence 0")
def lengths_of_the_first(weights, source, target, number, eos):
    words, said = (source[0] == eos).argmax(), (target[0] == eos).argmax()
    return weights[number, :said, :words][:, ::-1]


# padding is taken to be 0, and counted
@wrong("heat_map_matrix", says="what stands behind it was counted")
def padding_is_zero(weights, source, target, number, eos):
    words = np.count_nonzero(source[number]) - 1
    said = np.count_nonzero(target[number]) - 1
    return weights[number, :said, :words][:, ::-1]


# everything that is not eos is a word
@wrong("heat_map_matrix", says="what stands behind it was counted")
def all_but_eos(weights, source, target, number, eos):
    return weights[number][target[number] != eos][:, source[number] != eos][:, ::-1]


# eos is not a word, nor is the id 0
@wrong("heat_map_matrix", says="what stands behind it was counted")
def neither_eos_nor_zero(weights, source, target, number, eos):
    said = (target[number] != eos) & (target[number] != 0)
    words = (source[number] != eos) & (source[number] != 0)
    return weights[number][said][:, words][:, ::-1]


# the steps are counted by the source
@wrong("heat_map_matrix", says="as many rows as source words")
def square(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    return weights[number, :words, :words][:, ::-1]


# rows are taken to say the word after: the first step is cut off
@wrong("heat_map_matrix", says="the rows are one step late")
def first_step_cut_off(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    said = (target[number] == eos).argmax()
    return weights[number, 1 : said + 1, :words][:, ::-1]


# the id of eos is written into the code
@wrong("heat_map_matrix", says="its id is an input")
def eos_is_two(weights, source, target, number, eos):
    return map_by_slices(weights, source, np.where(target == eos, 2, target), number, 2)


# eos is looked for at the front, as if the encoder had read it first
@wrong("heat_map_matrix", says="is the first column")
def eos_at_the_front(weights, source, target, number, eos):
    words = (source[number] == eos).argmax()
    said = (target[number] == eos).argmax()
    return weights[number, :said, 1 : words + 1][:, ::-1]


# ---------------------------------------------------------------- 4.9 local_p


@right("local_p")
def local_with_loops(query, key, mask, W, v, D):
    B, T, _ = query.shape
    S = key.shape[1]
    places, weights = np.zeros((B, T)), np.zeros((B, T, S))
    for b in range(B):
        L = sum(bool(m) for m in mask[b])
        for t in range(T):
            q = query[b, t]
            p = L / (1 + math.exp(-(v @ np.tanh(q @ W))))
            places[b, t] = p
            near = [j for j in range(L) if abs(j - p) <= D]
            if not near:
                continue
            scores = [q @ key[b, j] for j in near]
            shares = [math.exp(z - max(scores)) for z in scores]
            for j, share in zip(near, shares, strict=True):
                bell = math.exp(-((j - p) ** 2) / (2 * (D / 2) ** 2))
                weights[b, t, j] = share / sum(shares) * bell
    return places, weights


@right("local_p")
def local_by_arrays(query, key, mask, W, v, D):
    lengths = mask.sum(axis=1)
    places = lengths[:, None] / (1 + np.exp(-np.tanh(query @ W) @ v))
    distance = np.arange(key.shape[1]) - places[..., None]
    allowed = mask[:, None] & (np.abs(distance) <= D)
    scores = np.where(allowed, query @ key.swapaxes(1, 2), -np.inf)
    return places, softmax(scores) * np.exp(-2 * (distance / D) ** 2)


@right("local_p")
def local_by_einsum(query, key, mask, W, v, D):
    u = np.einsum("bta,a->bt", np.tanh(np.einsum("btd,da->bta", query, W)), v)
    p = np.count_nonzero(mask, axis=1).reshape(-1, 1) * (1 + np.tanh(u / 2)) / 2
    j = np.arange(mask.shape[1])
    gap = np.abs(j[None, None, :] - p[:, :, None])
    inside = (gap <= D) * mask[:, np.newaxis, :]
    scores = np.einsum("btd,bsd->bts", query, key)
    top = np.max(scores, axis=-1, keepdims=True, where=inside.astype(bool), initial=-1e300)
    e = np.where(inside, np.exp(np.minimum(scores - top, 0)), 0.0)
    total = e.sum(axis=-1, keepdims=True)
    sigma = D / 2
    bell = np.exp(-(gap**2) / (2 * sigma**2))
    return [p, np.divide(e, total, out=np.zeros_like(e), where=total > 0) * bell]


@right("local_p")
def local_by_torch(query, key, mask, W, v, D):
    import torch

    q, k, m, W, v = (torch.as_tensor(np.array(a)) for a in (query, key, mask, W, v))
    p = m.sum(dim=1, keepdim=True) * torch.sigmoid(torch.tanh(q @ W) @ v)
    away = torch.arange(k.shape[1], dtype=q.dtype) - p.unsqueeze(-1)
    outside = ~m.unsqueeze(1) | (away.abs() > D)
    a = (q @ k.mT).masked_fill(outside, -torch.inf).softmax(dim=-1).nan_to_num(0.0)
    return p.numpy(), (a * torch.exp(-(away**2) / (2 * (D / 2) ** 2))).numpy()


def _place(query, mask, W, v):
    return mask.sum(axis=1)[:, None] / (1 + np.exp(-np.tanh(query @ W) @ v))


def _near(query, key, mask, places, D, sigma=None, window=None):
    """Weights around the places, by the formula of the statement."""
    distance = np.arange(key.shape[1]) - places[..., None]
    near = np.abs(distance) <= D if window is None else window(distance)
    scores = np.where(mask[:, None] & near, query @ key.swapaxes(1, 2), -np.inf)
    sigma = D / 2 if sigma is None else sigma
    return softmax(scores) * np.exp(-(distance**2) / (2 * sigma**2))


# the width of the batch instead of the length
@wrong("local_p", says="from the width of the batch")
def width_of_the_batch(query, key, mask, W, v, D):
    places = key.shape[1] / (1 + np.exp(-np.tanh(query @ W) @ v))
    return places, _near(query, key, mask, places, D)


# the length less one
@wrong("local_p", says="L − 1 instead of L")
def length_less_one(query, key, mask, W, v, D):
    places = (mask.sum(axis=1)[:, None] - 1) / (1 + np.exp(-np.tanh(query @ W) @ v))
    return places, _near(query, key, mask, places, D)


# the longest of the batch for all
@wrong("local_p", says="longest sentence of the batch")
def longest_of_the_batch(query, key, mask, W, v, D):
    places = mask.sum(axis=1).max() / (1 + np.exp(-np.tanh(query @ W) @ v))
    return places, _near(query, key, mask, places, D)


# all real words of the batch
@wrong("local_p", says="from all words of the batch")
def words_of_the_whole_batch(query, key, mask, W, v, D):
    places = mask.sum() / (1 + np.exp(-np.tanh(query @ W) @ v))
    return places, _near(query, key, mask, places, D)


# the place is rounded
@wrong("local_p", says="p was rounded; it is no whole number")
def place_rounded(query, key, mask, W, v, D):
    places = np.round(_place(query, mask, W, v))
    return places, _near(query, key, mask, places, D)


# the place is cut off to a whole number
@wrong("local_p", says="p was cut off to a whole number")
def place_cut_off(query, key, mask, W, v, D):
    places = _place(query, mask, W, v).astype(int)
    return places, _near(query, key, mask, places, D)


# the place is rounded for the window only
@wrong("local_p", says="laid around a rounded p")
def rounded_for_the_window(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    j = np.arange(key.shape[1])
    near = np.abs(j - np.round(places)[..., None]) <= D
    return places, _near(query, key, mask, places, D, window=lambda distance: near)


# places counted from 1
@wrong("local_p", says="places count from 0")
def counted_from_one(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places - 1, D)


# no tanh for the place
@wrong("local_p", says="the tanh around q W is missing")
def place_without_tanh(query, key, mask, W, v, D):
    places = mask.sum(axis=1)[:, None] / (1 + np.exp(-query @ W @ v))
    return places, _near(query, key, mask, places, D)


# no sigmoid for the place
@wrong("local_p", says="σ is missing")
def place_without_sigmoid(query, key, mask, W, v, D):
    places = mask.sum(axis=1)[:, None] * (np.tanh(query @ W) @ v)
    return places, _near(query, key, mask, places, D)


# a share, not a place
@wrong("local_p", says="not yet multiplied by the length")
def place_without_length(query, key, mask, W, v, D):
    places = 1 / (1 + np.exp(-np.tanh(query @ W) @ v))
    return places, _near(query, key, mask, places, D)


# the sign in the sigmoid
@wrong("local_p", says="the sign in σ is turned round")
def sigmoid_with_the_wrong_sign(query, key, mask, W, v, D):
    places = mask.sum(axis=1)[:, None] / (1 + np.exp(np.tanh(query @ W) @ v))
    return places, _near(query, key, mask, places, D)


# made to sum to 1 after the bell
@wrong("local_p", says="made to sum to 1 again")
def sum_to_one_after_the_bell(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    weights = _near(query, key, mask, places, D)
    total = weights.sum(axis=-1, keepdims=True)
    return places, weights / np.where(total > 0, total, 1)


# a second softmax after the bell
@wrong("local_p", says="a softmax was taken after the bell")
def softmax_after_the_bell(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, softmax(_near(query, key, mask, places, D))


# softmax over the whole sentence, then the window
@wrong("local_p", says="ran over the whole sentence")
def softmax_over_the_sentence(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    distance = np.arange(key.shape[1]) - places[..., None]
    weights = softmax(np.where(mask[:, None], query @ key.swapaxes(1, 2), -np.inf))
    return places, weights * (np.abs(distance) <= D) * np.exp(-2 * (distance / D) ** 2)


# the bell on the scores, before the softmax
@wrong("local_p", says="multiplies the weights, not the scores")
def bell_before_the_softmax(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    distance = np.arange(key.shape[1]) - places[..., None]
    scores = query @ key.swapaxes(1, 2) * np.exp(-2 * (distance / D) ** 2)
    return places, softmax(np.where(mask[:, None] & (np.abs(distance) <= D), scores, -np.inf))


# no bell
@wrong("local_p", says="the bell is missing")
def without_bell(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, sigma=np.inf)


# no window, the bell alone
@wrong("local_p", says="there is no window")
def without_window(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, window=lambda d: np.full(d.shape, True))


# sigma is D
@wrong("local_p", says="σ is D/2, not D")
def sigma_is_D(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, sigma=D)


# sigma is not squared
@wrong("local_p", says="D/2 was taken for the variance")
def sigma_not_squared(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, sigma=np.sqrt(D / 2))


# the 2 of the bell is missing
@wrong("local_p", says="the 2 is missing")
def bell_without_the_two(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, sigma=D / 2 / np.sqrt(2))


# the distance is not squared
@wrong("local_p", says="the square is missing")
def distance_not_squared(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    distance = np.abs(np.arange(key.shape[1]) - places[..., None])
    flat = _near(query, key, mask, places, D, sigma=np.inf)
    return places, flat * np.exp(-distance / (2 * (D / 2) ** 2))


# the bell's density with its factor
@wrong("local_p", says="it is no density")
def bell_as_density(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D) / (D / 2 * np.sqrt(2 * np.pi))


# a word at distance D is outside
@wrong("local_p", says="≤, not <")
def edge_is_outside(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, window=lambda d: np.abs(d) < D)


# the window to the right only: the absolute value is forgotten
@wrong("local_p", says="|j − p| has no sign")
def absolute_value_forgotten(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, window=lambda d: d <= D)


# the window is D wide in all
@wrong("local_p", says="D to each side, not D/2")
def window_half_as_wide(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, mask, places, D, window=lambda d: np.abs(d) <= D / 2)


# no mask: padding is within reach
@wrong("local_p", says="padding within the window gets weight")
def padding_in_the_window(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, np.full(mask.shape, True), places, D)


# the mask after the softmax
@wrong("local_p", says="the mask came after the softmax")
def local_mask_after_softmax(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query, key, np.full(mask.shape, True), places, D) * mask[:, None]


# a row without words is nan
@wrong("local_p", says="softmax of nothing is NaN")
def empty_window_is_nan(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    distance = np.arange(key.shape[1]) - places[..., None]
    inside = mask[:, None] & (np.abs(distance) <= D)
    with np.errstate(all="ignore"):
        scores = np.where(inside, query @ key.swapaxes(1, 2), -np.inf)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return places, e / e.sum(axis=-1, keepdims=True) * np.exp(-2 * (distance / D) ** 2)


# a large number for −∞: without words in the window all words share
@wrong("local_p", says="a number stands for −∞")
def empty_window_is_even(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    distance = np.arange(key.shape[1]) - places[..., None]
    inside = mask[:, None] & (np.abs(distance) <= D)
    scores = np.where(inside, query @ key.swapaxes(1, 2), -1e9)
    return places, softmax(scores) * np.exp(-2 * (distance / D) ** 2)


# exp overflows
@wrong("local_p", says="exp of a large score")
def local_exp_overflows(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    distance = np.arange(key.shape[1]) - places[..., None]
    with np.errstate(all="ignore"):
        e = np.exp(query @ key.swapaxes(1, 2)) * (mask[:, None] & (np.abs(distance) <= D))
        total = e.sum(axis=-1, keepdims=True)
        shares = e / np.where(total > 0, total, 1)
    return places, shares * np.exp(-2 * (distance / D) ** 2)


# scaled as in the Transformer
@wrong("local_p", says="divided by √d")
def local_scaled(query, key, mask, W, v, D):
    places = _place(query, mask, W, v)
    return places, _near(query / np.sqrt(query.shape[-1]), key, mask, places, D)


# the places keep an axis of length 1
@wrong("local_p", says="an axis of length 1 is left")
def places_keep_an_axis(query, key, mask, W, v, D):
    places, weights = local_by_arrays(query, key, mask, W, v, D)
    return places[..., None], weights


# one place a sentence, from the mean of its queries
@wrong("local_p", says="each query predicts its own")
def one_place_a_sentence(query, key, mask, W, v, D):
    mean = query.mean(axis=1, keepdims=True)
    places = np.repeat(_place(mean, mask, W, v), query.shape[1], axis=1)
    return places, _near(query, key, mask, places, D)


# local-m: the place is the number of the step
@wrong("local_p", says="the number of the step")
def place_is_the_step(query, key, mask, W, v, D):
    places = np.broadcast_to(np.arange(query.shape[1], dtype=float), query.shape[:2])
    return places, _near(query, key, mask, places, D)


# weights first
@wrong("local_p", says="places and weights changed places")
def weights_before_places(query, key, mask, W, v, D):
    return local_by_arrays(query, key, mask, W, v, D)[::-1]


# the place is right, its window that of int(p)
@wrong("local_p", says="p keeps its fraction, without int or floor")
def window_around_the_floor(query, key, mask, W, v, D):
    places = mask.sum(axis=1)[:, None] / (1 + np.exp(-np.tanh(query @ W) @ v))
    numbers = np.arange(key.shape[1])
    off = numbers - places[..., None]
    near = (abs(numbers - np.floor(places)[..., None]) <= D) & mask[:, None]
    shares = softmax(np.where(near, query @ key.swapaxes(1, 2), -np.inf))
    return places, shares * np.exp(-2 * (off / D) ** 2)
