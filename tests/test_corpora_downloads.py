"""Downloads: whatever goes wrong is said in plain words, and leaves nothing behind."""

import errno
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import NamedTuple

import pooch
import pytest
import tqdm

from attention_course.corpora import anki, downloads, imdb, multi30k
from attention_course.corpora.anki import AnkiPair, load_anki, split_by_source
from attention_course.corpora.downloads import DataError, load
from attention_course.corpora.imdb import Review, load_imdb
from attention_course.corpora.multi30k import load_multi30k

PAGE = b"<!DOCTYPE html>\n<html><body>Please log in.</body></html>"
SPLITS = {"train": 3, "val": 2, "test_2016_flickr": 1}


class Answer(NamedTuple):
    body: bytes
    status: int = 200
    claimed: int | None = None  # Content-Length, where it is not the true one
    silent: bool = False


class Server:
    """Answers with `files[path]`; remembers the paths asked for, and the user agents."""

    def __init__(self):
        self.files: dict[str, Answer | bytes] = {}
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.stop = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path.lstrip("/"))
                outer.agents.add(self.headers["User-Agent"])
                answer = outer.files.get(self.path.lstrip("/"), Answer(b"gone", 404))
                answer = answer if isinstance(answer, Answer) else Answer(answer)
                if answer.silent:
                    outer.stop.wait(10)
                self.send_response(answer.status)
                length = len(answer.body) if answer.claimed is None else answer.claimed
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.stop.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    running = Server()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for module in (multi30k, anki):
        monkeypatch.setattr(module, "URL", running.url)
    monkeypatch.setattr(imdb, "URL", f"{running.url}/{imdb.FILE}")
    yield running
    running.close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder; no folder of the reader's."""
    monkeypatch.delenv("ATTENTION_COURSE_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "attention-course"


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def fails(call, *findings, kind=DataError):
    """The text of the error, which must tell each finding; no older errors hang on it."""
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    text = str(caught.value)
    for finding in findings:
        assert finding in text, text
    return text


def zipped(text, name="fra.txt"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_about.txt", "about")
        archive.writestr(name, text)
    return buffer.getvalue()


PAIRS = "Go.\tVa !\tCC-BY #1\nGo.\tAllez !\tCC-BY #2\nThe sea.\tLa mer, où\u2028?\tCC-BY #3\n"


@pytest.fixture
def corpus(monkeypatch):
    """Nine small Multi30k files, whose sizes and hashes are the pinned ones."""
    monkeypatch.setattr(multi30k, "SIZES", SPLITS)
    files = {}
    for split, size in SPLITS.items():
        for language in ("en", "de", "fr"):
            text = "".join(f"{split} {language} é {i}\n" for i in range(size))
            files[f"{split}.{language}.gz"] = gzip.compress(text.encode(), mtime=0)
    pin(monkeypatch, files)
    return files


def pin(monkeypatch, files):
    hashes = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    monkeypatch.setattr(multi30k, "SHA256", hashes)


# --- What comes through -------------------------------------------------------


def test_multi30k_pairs_come_in_order_and_are_fetched_once(server, corpus, cache, capfd):
    server.files.update(corpus)
    first = load_multi30k("en", "fr")
    assert first.train == [(f"train en é {i}", f"train fr é {i}") for i in range(3)]
    assert first.validation == [(f"val en é {i}", f"val fr é {i}") for i in range(2)]
    assert first.test == [("test_2016_flickr en é 0", "test_2016_flickr fr é 0")]
    assert sorted(server.asked) == sorted(n for n in corpus if ".de." not in n)
    assert files_in(cache) == sorted(f"multi30k/{n}" for n in corpus if ".de." not in n)
    out, err = capfd.readouterr()
    assert out == ""
    assert "multi30k/train.en.gz" in err

    assert load_multi30k("en", "fr") == first
    assert len(server.asked) == 6
    assert load_multi30k("de", "en").train[2] == ("train de é 2", "train en é 2")
    assert len(server.asked) == 9


def test_a_damaged_file_in_the_cache_is_fetched_anew(server, corpus, cache):
    server.files.update(corpus)
    first = load_multi30k()
    (cache / "multi30k/val.en.gz").write_bytes(b"rubbish")
    assert load_multi30k() == first
    assert server.asked.count("val.en.gz") == 2
    assert (cache / "multi30k/val.en.gz").read_bytes() == corpus["val.en.gz"]


def test_anki_keeps_the_attribution_and_tells_the_hash(server, cache):
    server.files["fra-eng.zip"] = body = zipped(PAIRS)
    found = load_anki("fra")
    assert found.pairs == [
        AnkiPair("Go.", "Va !", "CC-BY #1"),
        AnkiPair("Go.", "Allez !", "CC-BY #2"),
        AnkiPair("The sea.", "La mer, où\u2028?", "CC-BY #3"),
    ]
    assert found.hash == "sha256:" + hashlib.sha256(body).hexdigest()
    assert load_anki("fra", found.hash) == load_anki("fra", found.hash[7:].upper()) == found
    assert server.asked == files_in(cache) == ["fra-eng.zip"]
    assert all(agent.startswith("Mozilla/5.0") for agent in server.agents)


def test_anki_by_another_hash_is_fetched_again(server, cache):
    server.files["fra-eng.zip"] = zipped(PAIRS)
    old = load_anki("fra")
    server.files["fra-eng.zip"] = newer = zipped(PAIRS + "Run!\tCours !\tCC-BY #4\n")
    assert load_anki("fra") == old
    assert len(load_anki("fra", hashlib.sha256(newer).hexdigest()).pairs) == 4
    text = fails(lambda: load_anki("fra", old.hash), old.hash, "its hash is sha256:")
    assert server.url in text
    # What was there before the failure is still there, whole.
    assert (cache / "fra-eng.zip").read_bytes() == newer
    assert files_in(cache) == ["fra-eng.zip"]


def test_windows_line_ends_and_a_missing_last_one(server):
    server.files["fra-eng.zip"] = zipped("Go.\tVa !\ta\r\nRun!\tCours !\tb")
    assert load_anki("fra").pairs == [("Go.", "Va !", "a"), ("Run!", "Cours !", "b")]


def test_importing_and_reading_local_files_need_no_pooch(tmp_path):
    (tmp_path / "fra.txt").write_text(PAIRS, "utf-8")
    code = (
        "import sys; sys.modules['pooch'] = sys.modules['requests'] = None\n"
        "from attention_course.corpora import imdb, multi30k\n"
        "from attention_course.corpora.anki import load_anki\n"
        "print(len(load_anki('fra').pairs))"
    )
    environment = os.environ | {"ATTENTION_COURSE_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr


# --- Languages ----------------------------------------------------------------


def test_unknown_languages_are_answered_by_the_known_ones(server):
    fails(lambda: load_multi30k("en", "es"), "target: got 'es'", "fr (French)", "de (German)")
    fails(lambda: load_multi30k("it"), "source: got 'it'", kind=ValueError)
    fails(lambda: load_anki("french"), "language: got 'french'", "fra (French)", "kor (Korean)")
    fails(lambda: load_anki("../fra"), "language: got '../fra'", kind=downloads.LanguageError)
    assert server.asked == []


# --- What the network does ----------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        (Answer(b"gone", 404), "HTTP 404: the server has no such file"),
        (Answer(b"no", 403), "HTTP 403: the server refuses"),
        (Answer(b"no", 406), "HTTP 406: the server refuses"),
        (Answer(b"no", 418), "HTTP 418: the server refuses"),
        (Answer(b"oh", 500), "HTTP 500: the server has a problem"),
        (Answer(zipped(PAIRS)[:100], claimed=999), "the connection broke off"),
        (Answer(zipped(PAIRS)[:-30]), "truncated or damaged"),
        (Answer(b""), "truncated or damaged"),
        (Answer(b"\n" + PAGE), "an HTML page"),
        (Answer(PAGE.lower()), "an HTML page"),
        (Answer(PAIRS.encode()), "truncated or damaged"),
        (Answer(zipped(PAIRS, "deu.txt")), "holds _about.txt, deu.txt, expected fra.txt"),
        (Answer(zipped("")), "fra.txt is empty"),
        (Answer(zipped("a\tb\tc\nGo.\tVa !\n")), "line 2: 2 columns, expected 3"),
        (Answer(zipped("a\tb\tc\n\n")), "line 2: 1 column, expected 3"),
        (Answer(zipped("a\tb\tc\td\n")), "line 1: 4 columns, expected 3"),
        (Answer(zipped(b"a\tb\tc\n" * 2 + b"\xe9t\xe9")), "line 3: byte 0xe9 is not UTF-8"),
    ],
)
def test_a_bad_answer_is_named_and_nothing_is_kept(server, cache, answer, finding):
    server.files["fra-eng.zip"] = answer
    text = fails(lambda: load_anki("fra"), finding, f"{server.url}/fra-eng.zip: ", "Nothing was")
    assert "put it into a folder as fra-eng.zip and set ATTENTION_COURSE_DATA" in text
    assert files_in(cache) == []
    server.files["fra-eng.zip"] = zipped(PAIRS)  # the next call is not spoilt
    assert len(load_anki("fra").pairs) == 3


def test_one_flipped_bit_in_the_zip_is_found(server, cache):
    body = bytearray(zipped(PAIRS, "fra.txt"))
    body[body.index(b"fra.txt") + 20] ^= 1
    server.files["fra-eng.zip"] = bytes(body)
    fails(lambda: load_anki("fra"), "truncated or damaged")
    assert files_in(cache) == []


def test_no_connection(server, cache):
    server.close()
    fails(lambda: load_anki("fra"), "cannot be reached", "refused", "ATTENTION_COURSE_DATA")
    assert files_in(cache) == []


def test_a_silent_server(server, cache, monkeypatch):
    monkeypatch.setattr(pooch.downloaders, "DEFAULT_TIMEOUT", 0.2)
    server.files["fra-eng.zip"] = Answer(zipped(PAIRS), silent=True)
    fails(lambda: load_anki("fra"), "did not answer in time")
    assert files_in(cache) == []


@pytest.mark.parametrize("old", [None, b"the old one"])
def test_an_interrupted_download_leaves_what_was_there(server, corpus, cache, monkeypatch, old):
    server.files.update(corpus)
    place = cache / "multi30k/train.en.gz"
    if old:
        place.parent.mkdir(parents=True)
        place.write_bytes(old)
    during = []

    def interrupt(*_):  # at the first progress: bytes are on the disk by then
        during.extend((cache / "multi30k").iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(tqdm.tqdm, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_multi30k()
    assert len(during) == 1 + bool(old)
    assert files_in(cache) == (["multi30k/train.en.gz"] if old else [])
    assert old is None or place.read_bytes() == old


def test_a_full_disk(server, corpus, cache, monkeypatch):
    server.files.update(corpus)

    class Full(io.FileIO):
        def __init__(self, path, _):
            super().__init__(path, "w")

        def write(self, data):
            super().write(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        pooch.downloaders, "open", lambda path, mode: Full(path, "w"), raising=False
    )
    fails(load_multi30k, "the disk is full", "multi30k/train.en.gz", str(cache))
    assert files_in(cache) == []


def test_a_cache_that_cannot_be_written(server, corpus, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file, not a folder")
    fails(load_multi30k, f"{cache}/multi30k/train.en.gz: cannot be written", "ATTENTION_COURSE")


# --- What the files hold ------------------------------------------------------


def changed(body, how):
    text = gzip.decompress(body)
    return {
        "other text": gzip.compress(text.replace(b"0", b"9"), mtime=0),
        "one line less": gzip.compress(text[: text.rindex(b"\n", 0, -1) + 1], mtime=0),
        "one line more": gzip.compress(text + b"more\n", mtime=0),
        "latin-1": gzip.compress(text.decode().encode("latin-1"), mtime=0),
        "truncated": body[:-9],
        "page": PAGE,
        "not gzip": text,
    }[how]


CHANGES = [
    ("other text", "its hash is sha256:"),
    ("one line less", "2 lines, expected 3"),
    ("one line more", "4 lines, expected 3"),
    ("latin-1", "line 1: byte 0xe9 is not UTF-8"),
    ("truncated", "truncated or damaged"),
    ("page", "an HTML page"),
    ("not gzip", "truncated or damaged"),
]


@pytest.mark.parametrize(("how", "finding"), CHANGES)
def test_a_wrong_file_from_the_server(server, corpus, cache, how, finding):
    body = changed(corpus["train.fr.gz"], how)
    server.files.update(corpus | {"train.fr.gz": body})
    fails(load_multi30k, f"{server.url}/train.fr.gz: ", finding, "as multi30k/train.fr.gz and set")
    assert files_in(cache) == ["multi30k/train.en.gz"]


@pytest.mark.parametrize(("how", "finding"), CHANGES)
def test_a_wrong_file_in_the_folder(tmp_path, corpus, monkeypatch, how, finding):
    put(tmp_path / "multi30k", corpus | {"train.fr.gz": changed(corpus["train.fr.gz"], how)})
    monkeypatch.setenv("ATTENTION_COURSE_DATA", str(tmp_path))
    fails(load_multi30k, f"{tmp_path}/multi30k/train.fr.gz: {finding}"[:-1], "good copy", "unset")


def test_sides_of_unequal_length_are_refused_even_with_the_right_hash(
    server, corpus, cache, monkeypatch
):
    files = corpus | {"val.fr.gz": changed(corpus["val.fr.gz"], "one line less")}
    server.files.update(files)
    pin(monkeypatch, files)
    fails(load_multi30k, "val.fr.gz: 1 lines, expected 2, as in every language")
    assert "multi30k/val.fr.gz" not in files_in(cache)


def test_a_file_that_went_bad_in_the_cache_is_named(server, cache):
    server.files["fra-eng.zip"] = zipped(PAIRS)
    load_anki("fra")
    (cache / "fra-eng.zip").write_bytes(zipped(PAIRS)[:50])
    fails(lambda: load_anki("fra"), f"{cache}/fra-eng.zip: truncated", "Delete it and run")


# --- A folder of the reader's -------------------------------------------------


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)


@pytest.mark.parametrize("below", ["multi30k", "."])
def test_local_files_are_read_where_they_lie(server, corpus, cache, tmp_path, monkeypatch, below):
    folder = tmp_path / "mine"
    put(folder / below, corpus)
    monkeypatch.setenv("ATTENTION_COURSE_DATA", str(folder))
    assert load_multi30k().train[0] == ("train en é 0", "train fr é 0")
    assert server.asked == []
    assert not cache.exists()
    assert len(files_in(folder)) == 9


@pytest.mark.parametrize("place", ["fra-eng.zip", "fra-eng/fra.txt", "fra.txt"])
def test_anki_packed_or_unpacked(server, tmp_path, monkeypatch, place):
    body = zipped(PAIRS) if place.endswith("zip") else PAIRS.encode()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(body)
    monkeypatch.setenv("ATTENTION_COURSE_DATA", str(tmp_path))
    found = load_anki("fra")
    assert [pair.other for pair in found.pairs] == ["Va !", "Allez !", "La mer, où\u2028?"]
    assert found.hash == "sha256:" + hashlib.sha256(body).hexdigest()
    fails(lambda: load_anki("fra", "0" * 64), "expected sha256:000", "changed or damaged")
    assert server.asked == []


def test_a_broken_zip_in_the_folder_is_not_read_as_text(tmp_path, monkeypatch):
    (tmp_path / "fra-eng.zip").write_text(PAIRS, "utf-8")
    monkeypatch.setenv("ATTENTION_COURSE_DATA", str(tmp_path))
    fails(lambda: load_anki("fra"), "fra-eng.zip: truncated or damaged (File is not a zip file)")


def test_what_is_missing_from_the_folder_is_listed(server, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_COURSE_DATA", str(tmp_path / "nowhere"))
    places = "fra-eng.zip, fra-eng/fra.txt, fra.txt"
    fails(lambda: load_anki("fra"), str(tmp_path / "nowhere"), f"found none of {places}", "unset")
    fails(load_multi30k, "found none of multi30k/train.en.gz, train.en.gz")
    fails(load_imdb, "found none of aclImdb_v1.tar.gz", imdb.URL)
    assert server.asked == []


def test_a_local_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "fra.txt").write_text(PAIRS, "utf-8")
    monkeypatch.setenv("ATTENTION_COURSE_DATA", str(tmp_path))

    def read(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    fails(lambda: load("fra.txt", "http://x", read), "fra.txt: cannot be", "Permission denied")


# --- IMDb ---------------------------------------------------------------------

REVIEWS = {
    f"aclImdb/{part}/{label}/{number}_{stars}.txt": f"{part} {label} {number}<br />é"
    for part in ("test", "train")
    for label, stars in (("pos", 9), ("neg", 2))
    for number in (10, 9)
}


def tarred(files, links=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            body = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


@pytest.fixture
def imdb_file(server, monkeypatch):
    """Puts an archive on the server, its hash pinned."""

    def put_there(body):
        monkeypatch.setattr(imdb, "SIZE", 2)
        monkeypatch.setattr(imdb, "HASH", "md5:" + hashlib.md5(body).hexdigest())
        server.files[imdb.FILE] = body

    return put_there


def test_imdb_is_read_from_the_archive(server, imdb_file, cache, capfd):
    others = {
        "aclImdb/train/unsup/1_0.txt": "no label",
        "aclImdb/train/pos/urls.txt": "http://x",
        "aclImdb/README": "read me",
    }
    imdb_file(tarred(REVIEWS | others))
    found = load_imdb()
    assert found.train == [
        Review("train neg 9<br />é", 0),
        Review("train neg 10<br />é", 0),
        Review("train pos 9<br />é", 1),
        Review("train pos 10<br />é", 1),
    ]
    assert [text.split()[:2] for text, _ in found.test] == 2 * [["test", "neg"]] + 2 * [
        ["test", "pos"]
    ]
    capfd.readouterr()
    assert load_imdb() == found
    assert server.asked == files_in(cache) == [imdb.FILE]
    assert "11 files" in capfd.readouterr().err  # reading 100,000 takes long enough to be shown


def test_imdb_names_that_lead_elsewhere_are_left_alone(imdb_file, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tricks = {
        "../evil.txt": "a",
        "/aclImdb/train/pos/7_7.txt": "a",
        "aclImdb/train/pos/../pos/7_7.txt": "a",
        "x/aclImdb/train/pos/7_7.txt": "a",
        "aclImdb/train/pos/7_7.txt/..": "a",
    }
    links = [("aclImdb/train/pos/7_8.txt", "/etc/passwd")]
    imdb_file(tarred(tricks | REVIEWS, links))
    assert [text for text, _ in load_imdb().train if text == "a" or "root" in text] == []
    assert len(load_imdb().train) == 4
    assert files_in(tmp_path) == [f"cache/attention-course/{imdb.FILE}"]


def test_imdb_that_is_not_whole_or_not_the_published_one(server, imdb_file, cache):
    imdb_file(tarred(REVIEWS))
    whole = server.files[imdb.FILE]
    server.files[imdb.FILE] = whole[:-30]
    fails(load_imdb, "truncated or damaged", imdb.FILE, "ATTENTION_COURSE_DATA")
    server.files[imdb.FILE] = PAGE
    fails(load_imdb, "an HTML page")
    server.files[imdb.FILE] = tarred(REVIEWS | {"more": "more"})
    fails(load_imdb, "its hash is md5:", imdb.HASH)
    server.files[imdb.FILE] = gzip.compress(b"no tar " * 999)
    fails(load_imdb, "truncated or damaged")
    fewer = dict(list(REVIEWS.items())[1:])
    imdb_file(tarred(fewer))
    fails(load_imdb, "1 reviews in test/pos, expected 2")
    imdb_file(tarred(REVIEWS | {"aclImdb/test/pos/9_9.txt": b"a\n\xff"}))
    fails(load_imdb, "aclImdb/test/pos/9_9.txt, line 2: byte 0xff is not UTF-8")
    assert files_in(cache) == []


# --- Splitting ----------------------------------------------------------------


def sentence_pairs(count=3000):
    return [AnkiPair(f"e{i // 3}", f"o{i % 50}", f"#{i}") for i in range(count)]


def test_parts_share_no_source_and_lose_no_pair():
    pairs = sentence_pairs()
    for source in (0, 1):
        parts = split_by_source(pairs, seed=1, source=source)
        sources = [{pair[source] for pair in part} for part in parts]
        assert all(sources)
        assert sum(map(len, sources)) == len(set.union(*sources))
        assert sorted(chain(*parts)) == sorted(pairs)
        assert all(part == sorted(part, key=pairs.index) for part in parts)  # order kept


def test_shares_hold_on_average():
    _, validation, test = split_by_source(
        sentence_pairs(9000), validation_share=0.3, test_share=0.1
    )
    # 3,000 sentences: the standard deviations are below 76 rows of 9,000.
    assert len(validation) == pytest.approx(2700, abs=300)
    assert len(test) == pytest.approx(900, abs=300)
    assert split_by_source(sentence_pairs(30), validation_share=0, test_share=0)[1:] == ([], [])


def test_a_sentence_stays_in_its_part_when_the_file_changes():
    pairs = sentence_pairs()
    before = split_by_source(pairs, seed=3)
    after = split_by_source(sentence_pairs(6000)[::-1], seed=3)
    assert all(set(old) <= set(new) for old, new in zip(before, after))
    assert split_by_source(pairs, seed=4) != before


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (0.2, 0.9)])
def test_shares_that_make_no_sense(shares):
    with pytest.raises(ValueError, match="validation_share, test_share: got"):
        split_by_source(sentence_pairs(9), 0, *shares)
