"""What is found out about a CSV file: its delimiter, decimal comma, header, line ends, columns and encoding."""

import numpy as np
import pytest
from csv_files import (
    PLAIN,
    write_fixture,  # noqa: F401 (a fixture)
)

from nnopt.errors import DataError
from nnopt.objectives.csv_data import read_csv
from nnopt.objectives.csv_table import read_table

# --- the shape of the file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delimiter", "name"),
    [(",", None), (";", "';'"), ("\t", "'tab'"), ("|", "'|'"), (" ", "'space'"), ("   ", "'space'")],
)
def test_the_delimiter_is_found(write, delimiter, name):
    data = read_csv(write(PLAIN.replace(",", delimiter)), standardize=False)
    np.testing.assert_array_equal(data.X, [[1, 10], [2, 20], [3, 30], [4, 60]])
    assert name is None or f"columns are separated by {name}" in data.notes


def test_decimal_commas_with_semicolons(write):
    data = read_csv(write("a;b;kind\n1,5;-2,25;x\n2,5;1e3;y\n,5;0;x\n"), standardize=False)
    np.testing.assert_array_equal(data.X, [[1.5, -2.25], [2.5, 1000], [0.5, 0]])
    assert "numbers have a decimal comma" in data.notes


def test_decimal_commas_in_texts_stay_as_they_are(write):
    data = read_csv(write("a;size\n1,5;A,1\n2,5;B,2\n3,5;A,1\n"))
    assert data.classes == ("A,1", "B,2")


def test_excels_separator_line_is_understood_and_lines_are_still_counted_right(write):
    data = read_csv(write("sep=;\na;kind\n1;x\n2;y\n"), standardize=False)
    np.testing.assert_array_equal(data.X[:, 0], [1, 2])
    with pytest.raises(DataError, match="line 4"):
        read_csv(write("sep=;\na;kind\n1;x\n2;y;z\n"))


def test_quoted_fields_may_hold_delimiters_quotes_and_line_breaks(write):
    data = read_csv(write('"a","size, in cm",kind\n"1",2,"say ""hi"""\n3,"4","two\nlines"\n'), standardize=False)
    assert data.features == ("a", "size, in cm")
    assert data.classes == ('say "hi"', "two\nlines")
    np.testing.assert_array_equal(data.X, [[1, 2], [3, 4]])


def test_line_breaks_in_quotes_do_not_shift_the_line_numbers(write):
    with pytest.raises(DataError, match="line 5, column 1"):
        read_csv(write('a,kind\n1,"two\nlines"\n2,x\nbad,y\n3,y\n'))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_and_blank_lines(write, end):
    data = read_csv(write(("\n" + PLAIN.replace("\n", "\n\n")).replace("\n", end)))
    assert data.n == 4


def test_a_missing_header_is_noticed(write):
    data = read_csv(write("1,10,yes\n2,20,no\n3,30,yes\n"), standardize=False)
    assert data.n == 3
    assert data.features == ("column 1", "column 2")
    assert any("no header" in note for note in data.notes)
    with_texts_only = read_table(write("red,yes\nblue,no\nred,no\n"))
    assert with_texts_only.rows == 3
    assert read_table(write("colour,ripe\nred,yes\nblue,no\n")).rows == 2


def test_the_guesses_about_header_and_delimiter_can_be_overruled(write):
    path = write("2019;2020\n1,5;2,5\n3,5;4,5\n5,5;6,5\n")
    assert read_table(path).rows == 4
    assert read_table(path, header="yes").rows == 3
    assert [column.name for column in read_table(path, header="yes").columns] == ["2019", "2020"]


def test_duplicate_and_empty_column_names_become_different_ones(write):
    data = read_csv(write("x,x,,x,kind\n1,2,3,4,a\n2,4,1,1,b\n"))
    assert data.features == ("x", "x (2)", "unnamed 3", "x (3)")
    assert any("two columns are called 'x'" in note for note in data.notes)


def test_a_trailing_delimiter_is_forgiven(write):
    assert read_csv(write("a,b\n1,yes,\n2,no,\n")).features == ("a",)
    data = read_csv(write("a,b,\n1,yes,\n2,no,\n"))
    assert data.features == ("a",)
    assert data.target == "b"
    assert any("empty" in note for note in data.notes)


def test_columns_that_carry_nothing_are_left_out_and_named(write):
    data = read_csv(write("id,same,a,word,kind\n" + "".join(f"{k},7,{k * k},w{k},{'xy'[k % 2]}\n" for k in range(30))))
    assert data.features == ("a",)
    text = "; ".join(data.notes)
    assert "'id' is left out: it counts the rows" in text
    assert "'same' is left out: all of its cells are the same" in text
    assert "'word' is left out: 30 different texts" in text


# --- encodings -----------------------------------------------------------------------------------------------------

UMLAUTS = "größe,art\n1.5,Käfer\n2.5,Grüße\n3.5,Käfer\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"])
def test_every_usual_encoding_is_recognized(write, encoding):
    data = read_csv(write(UMLAUTS, encoding))
    assert data.features == ("größe",)
    assert data.classes == ("Grüße", "Käfer")
    assert any("not valid UTF-8" in note for note in data.notes) == (encoding in ("cp1252", "latin-1"))


def test_a_byte_that_windows_does_not_know_falls_back_to_latin_1(write):
    data = read_csv(write(b"a,kind\n1,x\x81\n2,y\xe9\n"))
    assert len(data.classes) == 2
    assert "not valid UTF-8: read as Latin-1" in data.notes


def test_a_wrong_byte_deep_in_a_long_file_is_found_too(write):
    body = "".join(f"{k},{'xy'[k % 2]}\n" for k in range(30_000)).encode()
    data = read_csv(write(b"a,kind\n" + body + b"5,caf\xe9\n"))
    assert data.n == 30_001
    assert "café" in data.classes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(200), "Excel workbook"),
        (b"\x1f\x8b\x08" + bytes(range(256)), "gzip"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture"),
        (bytes(range(256)) * 10, "not a text file"),
        ("a,b\n1,2\n".encode("utf-16-le"), "not a text file"),
    ],
)
def test_binary_files_are_refused(write, content, says):
    with pytest.raises(DataError, match=says):
        read_csv(write(content))
