"""Shards: records are found where they were written; a torn tail is told from a record."""

from __future__ import annotations

import os

import pytest

from autotb.flow import result_log
from autotb.flow.result_log import FAILED, OK, Place, Record


@pytest.fixture
def shard(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    made = result_log.Shard(str(tmp_path))
    yield made
    made.close()


def put(shard, state, step, at, text, data):
    return shard.append([Record(state, step, at, 0, text, data)])[0]


def cut(path, length):
    os.truncate(path, length)


def test_records_are_read_where_they_stand(tmp_path, shard):
    places = [put(shard, OK, 1, at, b"text", b"data %d" % at) for at in range(3)]

    found = list(result_log.read(str(tmp_path), reversed(places)))

    assert [(record.state, record.step, record.at, record.text, record.data) for record in found] == [
        (OK, 1, at, b"text", b"data %d" % at) for at in (2, 1, 0)
    ]


def test_a_shard_is_read_once_in_whatever_order_it_is_written(tmp_path, monkeypatch):
    (tmp_path / result_log.FOLDER).mkdir()
    shards = [result_log.Shard(str(tmp_path)) for _ in range(2)]
    places = [put(shards[at // 50 % 2], OK, 1, at, b"", b"%05d" % at * 20) for at in range(5_000)]
    for one in shards:
        one.close()
    count, read = 0, result_log._Window._read

    def counted(window, offset, size):
        nonlocal count
        data = read(window, offset, size)
        count += len(data)
        return data

    monkeypatch.setattr(result_log._Window, "_read", counted)
    assert [record.at for record in result_log.read(str(tmp_path), places)] == list(range(5_000))
    assert count < 1.02 * sum(os.path.getsize(one.path) for one in shards)


@pytest.mark.parametrize(
    "size", [0, 1, result_log._WINDOW - 1, result_log._WINDOW, result_log._WINDOW + 1, 3 * result_log._WINDOW]
)
def test_records_of_any_size_are_read(tmp_path, shard, size):
    places = [put(shard, OK, 1, at, b"t" * (at % 2), bytes([at]) * size) for at in range(4)]

    for some in (places, places[::-1], places[2:]):
        assert [(one.text, one.data) for one in result_log.read(str(tmp_path), some)] == [
            (b"t" * (at % 2), bytes([at]) * size) for at in (places.index(place) for place in some)
        ]


def test_the_text_is_read_without_the_pickle(tmp_path, shard):
    place = put(shard, FAILED, 1, 0, b"text", b"data")

    (record,) = result_log.read(str(tmp_path), [place], only_text=True)

    assert (record.text, record.data) == (b"text", b"")


def test_a_record_that_comes_after_its_shard_was_closed_is_kept(tmp_path, shard):
    put(shard, OK, 1, 0, b"", b"one")
    shard.close()
    place = put(shard, OK, 1, 1, b"", b"two")

    assert next(result_log.read(str(tmp_path), [place])).data == b"two"


@pytest.mark.parametrize("gone", [1, 5, 30])
def test_a_torn_record_is_an_error_with_its_place(tmp_path, shard, gone):
    place = put(shard, OK, 1, 0, b"text", b"data")
    cut(shard.path, os.path.getsize(shard.path) - gone)

    with pytest.raises(ValueError, match="there is no whole record at byte 0"):
        list(result_log.read(str(tmp_path), [place]))


def test_a_byte_that_is_another_is_seen(tmp_path, shard):
    place = put(shard, OK, 1, 0, b"text", b"data")
    with open(shard.path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"X")

    with pytest.raises(ValueError, match="no whole record"):
        list(result_log.read(str(tmp_path), [place]))


@pytest.mark.parametrize("offset", [3, 10_000])
def test_a_place_at_which_no_record_begins_is_told(tmp_path, shard, offset):
    put(shard, OK, 1, 0, b"text", b"data")

    with pytest.raises(ValueError, match="no whole record at byte"):
        list(result_log.read(str(tmp_path), [Place(shard.name, offset, OK)]))


def test_a_shard_that_is_gone_is_told(tmp_path, shard):
    with pytest.raises(FileNotFoundError):
        list(result_log.read(str(tmp_path), [Place("gone.shard", 0, OK)]))


@pytest.mark.parametrize(("gone", "whole"), [(0, 2), (1, 1), (40, 1)])
def test_the_whole_records_of_a_shard(tmp_path, shard, gone, whole):
    places = [put(shard, OK, 1, at, b"text", b"data") for at in range(2)]
    cut(shard.path, os.path.getsize(shard.path) - gone)

    found = result_log.heads(str(tmp_path), shard.name)

    assert [(offset, record.at) for offset, record in found] == [(place.offset, at) for at, place in enumerate(places)][:whole]


def test_a_last_record_whose_bytes_never_came_is_none(tmp_path, shard):
    put(shard, OK, 1, 0, b"", b"one")
    put(shard, OK, 1, 1, b"", b"two")
    size = os.path.getsize(shard.path)
    cut(shard.path, size - 2)
    cut(shard.path, size)  # filled with zeros, as after a crash of the machine

    assert [record.at for _, record in result_log.heads(str(tmp_path), shard.name)] == [0]


def test_a_write_that_fails_is_taken_back(tmp_path):
    class Full:
        def __init__(self):
            self.size, self.name = 7, "the shard"

        def seek(self, *_):
            return 7

        def write(self, data):
            if self.size > 7:
                raise OSError(28, "No space left on device")
            self.size += 3
            return 3

        def truncate(self, size):
            self.size = size

    file = Full()
    with pytest.raises(OSError, match="No space left on device: 'the shard'"):
        result_log._append(file, b"0123456789")

    assert file.size == 7


def test_a_process_has_one_shard_of_a_folder(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    one = result_log.mine(str(tmp_path), "t")

    assert result_log.mine(str(tmp_path), "t") is one
    result_log.end(str(tmp_path))
    assert one.file.closed
    again = result_log.mine(str(tmp_path), "t")
    assert again is not one
    result_log.end(str(tmp_path))


def test_a_process_keeps_few_shards_open(tmp_path, monkeypatch):
    monkeypatch.setattr(result_log, "_mine", {})
    folders = [tmp_path / str(number) for number in range(result_log._MOST_OPEN + 2)]
    for folder in folders:
        (folder / result_log.FOLDER).mkdir(parents=True)
    shards = [result_log.mine(str(folder), "t") for folder in folders]

    assert [shard.file.closed for shard in shards] == [True] * 2 + [False] * result_log._MOST_OPEN
    for folder in folders:
        result_log.end(str(folder))


def test_other_files_of_the_folder_are_no_shards(tmp_path, shard):
    (tmp_path / result_log.FOLDER / "note.txt").touch()

    assert result_log.names(str(tmp_path)) == [shard.name]
    assert result_log.names(str(tmp_path / "gone")) == []


def test_records_are_written_many_at_once_and_large_ones_by_themselves(tmp_path, shard, monkeypatch):
    monkeypatch.setattr(result_log, "_BLOCK", 100)
    records = [Record(OK, 1, at, at, b"", bytes([at]) * 40) for at in range(10)]
    written, append = [], result_log._append
    monkeypatch.setattr(result_log, "_append", lambda file, data: written.append(file.tell()) or append(file, data))

    assert list(result_log.read(str(tmp_path), shard.append(records))) == records
    assert len(written) == 5


def test_a_folder_that_holds_another_run_gets_another_shard(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    one, other = result_log.mine(str(tmp_path), "a"), result_log.mine(str(tmp_path), "b")

    assert one is not other
    assert one.file.closed
    result_log.end(str(tmp_path))


def test_a_shard_whose_file_was_removed_gives_place_to_another(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    one = result_log.mine(str(tmp_path), "a")
    os.remove(one.path)
    other = result_log.mine(str(tmp_path), "a")

    assert os.path.isfile(other.path)
    result_log.end(str(tmp_path))


@pytest.mark.parametrize("size", [0, 4, 200_000])
@pytest.mark.parametrize("text", [b"", b"told"])
def test_the_seconds_of_a_call_are_kept_where_they_are_known(tmp_path, shard, size, text):
    records = [Record(OK, 1, 7, 3, text, b"d" * size, seconds) for seconds in (None, 0.25, 1e-7)]
    places = shard.append(records)

    found = list(result_log.read(str(tmp_path), places))
    assert found[:2] == records[:2]
    assert found[2].seconds == pytest.approx(1e-7)
    assert [one.seconds for one in result_log.read(str(tmp_path), places[:2], only_text=True)] == [None, 0.25]
    assert [one.offset for one in result_log.scan(str(tmp_path), shard.name)] == [place.offset for place in places]
    assert os.path.getsize(shard.path) == sum(place.size for place in places)
    with open(shard.path, "r+b") as file:
        file.seek(places[1].offset + result_log._HEAD + 1)
        file.write(b"X")
    with pytest.raises(result_log.DamagedError):
        list(result_log.read(str(tmp_path), places[1:2]))


def test_a_record_of_an_earlier_version_is_read(tmp_path, shard):
    head = result_log._HEADER.pack(b"aTb1", OK, 1, 7, 3, 0, 4)
    shard.file.write(head + result_log._SUM.pack(result_log.zlib.crc32(b"data")) + b"data")

    assert list(result_log.read(str(tmp_path), [Place(shard.name, 0, OK)])) == [Record(OK, 1, 7, 3, b"", b"data")]


@pytest.mark.parametrize("byte", range(result_log._HEAD))
def test_a_byte_of_the_head_that_is_another_is_seen_and_what_follows_is_found(tmp_path, shard, byte):
    places = shard.append([Record(OK, 1, at, 0, b"", b"data") for at in range(3)])
    with open(shard.path, "r+b") as file:
        file.seek(places[1].offset + byte)
        (was,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([was ^ 1]))

    found = list(result_log.scan(str(tmp_path), shard.name))
    assert [(one.offset, one.record and one.record.at) for one in found] == [
        (places[0].offset, 0),
        (places[1].offset, None),
        (places[2].offset, 2),
    ]


def test_a_shard_is_named_after_the_run_that_went_on_in_its_folder(tmp_path):
    (tmp_path / result_log.FOLDER).mkdir()
    tokens = ["", "a1b2", result_log.next_turn("a1b2"), result_log.next_turn("a1b2.9")]
    shards = [result_log.Shard(str(tmp_path), token) for token in tokens]
    for shard in shards:
        shard.close()

    assert tokens[2:] == ["a1b2.2", "a1b2.10"]
    assert [result_log.turn(shard.name) for shard in shards] == [1, 1, 2, 10]
    assert [result_log.turn(name) for name in ("of.an.host.5-17-0123.shard", "5.shard", "x.\u00b2.shard", "none")] == [1, 5, 1, 1]
    assert {*result_log.names(str(tmp_path))} == {shard.name for shard in shards}
