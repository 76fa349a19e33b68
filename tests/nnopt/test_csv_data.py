"""CSV files as they come: every one either works, and says what was guessed, or is refused with line and column."""

import csv
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from csv_files import (
    PLAIN,
    write_fixture,  # noqa: F401 (a fixture)
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt.assets import asset
from nnopt.errors import DataError, SettingsError
from nnopt.objectives import datasets
from nnopt.objectives.csv_data import Csv, read_csv


def test_a_plain_file_becomes_classes_and_standardized_inputs(write):
    data = read_csv(write(PLAIN))
    assert data.task == "classification"
    assert data.classes == ("no", "yes")
    assert data.features == ("a", "b")
    assert data.target == "label"
    np.testing.assert_array_equal(data.y, [1, 0, 1, 0])
    np.testing.assert_allclose(data.X.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(data.X.std(axis=0), 1)
    np.testing.assert_allclose(data.original(data.X), [[1, 10], [2, 20], [3, 30], [4, 60]])
    assert "target: 'label' (by its name)" in data.notes
    assert "inputs: 'a', 'b'" in data.notes
    assert any("standardized" in note for note in data.notes)


def test_standardization_can_be_switched_off(write):
    data = read_csv(write(PLAIN), standardize=False)
    np.testing.assert_array_equal(data.X, [[1, 10], [2, 20], [3, 30], [4, 60]])
    np.testing.assert_array_equal(data.scale, [1, 1])


def test_roles_can_be_chosen(write):
    data = read_csv(write(PLAIN), target="b", inputs=("a",), standardize=False, task="regression")
    assert data.task == "regression"
    assert (data.target, data.features) == ("b", ("a",))
    np.testing.assert_array_equal(data.y, [10, 20, 30, 60])


def test_a_numeric_target_is_standardized_and_can_be_read_back(write):
    rows = "\n".join(f"{k},{1000 + 7.5 * k}" for k in range(30))
    data = read_csv(write("x,price\n" + rows))
    assert data.task == "regression"
    assert data.y.mean() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(data.y * data.target_scale + data.target_shift, 1000 + 7.5 * np.arange(30))
    assert any(note.startswith("'price' is standardized") for note in data.notes)


def test_a_few_whole_numbers_are_taken_as_classes_and_said_so(write):
    data = read_csv(write("x,z,kind\n1.5,2,3\n2.5,1,3\n3,4,10\n4,5,2\n"))
    assert data.classes == ("2", "3", "10")
    np.testing.assert_array_equal(data.y, [1, 1, 2, 0])
    assert data.outputs == 3
    assert any("taken as classes" in note for note in data.notes)


# --- texts and missing values --------------------------------------------------------------------------------------


def test_a_column_that_counts_the_rows_stays_where_it_may_be_an_input(write):
    assert read_csv(write(",a,kind\n0,5,x\n1,7,y\n2,1,x\n")).features == ("a",)
    assert read_csv(write("1,5.5\n2,7.5\n3,1.5\n")).features == ("column 1",)


def test_text_inputs_become_columns_of_0_and_1(write):
    data = read_csv(write("colour,sex,size,kind\nred,m,1,x\nblue,f,2,y\ngreen,f,3,x\nred,m,4,y\n"))
    assert data.features == ("colour=blue", "colour=green", "colour=red", "sex=m", "size")
    np.testing.assert_array_equal(data.X[:, :4], [[0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
    assert any("'colour' holds texts" in note for note in data.notes)


GAPS = "a,colour,kind\n1,red,x\n,red,y\n3,NA,x\n5,blue,y\n7,red,\n9,blue,y\n2,blue,x\n"


def test_rows_with_missing_values_are_dropped_and_counted(write):
    data = read_csv(write(GAPS), standardize=False)
    np.testing.assert_array_equal(data.X, [[1, 1], [5, 0], [9, 0], [2, 0]])
    assert "1 row without a value of 'kind' dropped" in data.notes
    assert "2 rows with missing values dropped" in data.notes


def test_or_filled_with_mean_and_most_frequent_text(write):
    data = read_csv(write(GAPS), standardize=False, missing="impute")
    np.testing.assert_array_equal(data.X, [[1, 1], [4, 1], [3, 0], [5, 0], [9, 0], [2, 0]])
    text = "; ".join(data.notes)
    assert "'a': 1 row filled with the mean, 4" in text
    assert "'colour': 1 row filled with the most frequent text, 'blue'" in text


@pytest.mark.parametrize("marker", ["", "NA", "N/A", "nan", "NaN", "NULL", "?", "  "])
def test_every_usual_marker_of_a_missing_value_is_known(write, marker):
    data = read_csv(write(f"a,b,kind\n1,1,x\n2,{marker},y\n3,2,y\n"))
    assert data.n == 2


# --- what cannot be used -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the file is empty"),
        ("\n \n\n", "the file is empty"),
        ("\ufeff", "the file is empty"),
        ("a,b,label\n", "a header but no rows"),
        ("a,b,label", "a header but no rows"),
        ("a\n1\n2\n", "only one column"),
        ("a,b,label\n1,2,x\n3,4\n", "line 3: expected 3 columns, got 2"),
        ("a,b,label\n1,2,x\n\n3,4,y,z\n", "line 4: expected 3 columns, got 4"),
        ("a,label\n1,x\nzwei,y\n3,x\n", "line 3, column 1 ('a'): expected a number as in the other rows, got 'zwei'"),
        ("a,b,label\n1,2,x\n2,inf,y\n3,1,x\n", "line 3, column 2 ('b'): expected a finite number up to 1e+100"),
        ("a,b,label\n1,2,x\n2,1e999,y\n3,1,x\n", "line 3, column 2 ('b'): expected a finite number up to 1e+100"),
        ('a,label\n1,x\n2,"y\n3,x\n', "line 3: unexpected end of data (is a quotation mark never closed?)"),
        ('a,label\n1,x\n2,"y"z\n', "line 3"),
        ("a,label\n1,x\n2,x\n", "target 'label' has only one class, 'x'"),
        ("a,label\n,x\n,y\n", "no column is left as input"),
        ("a,b,label\n,1,x\n2,,y\n3,,x\n,4,y\n", "every row has a missing value"),
        ("a,label\n5,x\n5,y\n", "'a' is left out: all of its cells are the same"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_place(write, content, says):
    path = write(content)
    with pytest.raises(DataError) as caught:
        read_csv(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_bad_cell_far_down_is_found_with_its_line(write):
    rows = ["a,label"] + [f"{k}.5,{'xy'[k % 2]}" for k in range(20_000)]
    rows[15_001] = "n.a.,x"
    with pytest.raises(DataError, match=r"line 15002, column 1 \('a'\): .* got 'n\.a\.'"):
        read_csv(write("\n".join(rows)))


def test_a_column_empty_at_first_may_turn_out_to_be_text_or_numbers(write):
    rows = ["late,never,n,label"] + [f",,,{'xy'[k % 2]}" for k in range(9000)] + ["red,,1,x", "blue,,2,y"]
    data = read_csv(write("\n".join(rows)), standardize=False)
    assert data.features == ("late=red", "n")
    np.testing.assert_array_equal(data.X, [[1, 1], [0, 2]])


def test_too_many_classes_are_refused(write):
    rows = "".join(f"{k * 0.5},name{k}\n" for k in range(300))
    with pytest.raises(DataError, match="more than 100 different texts"):
        read_csv(write("a,who\n" + rows), target="who")
    numbers = "".join(f"{k * 0.5},{k}\n" for k in range(300))
    with pytest.raises(DataError, match="300 different values"):
        read_csv(write("a,who\n" + numbers), target="who", task="classification")


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"target": "c"}, "there is no column 'c' (columns: 'a', 'b', 'label')"),
        ({"inputs": ("z",)}, "there is no column 'z'"),
        ({"inputs": ("a", "a")}, "each column once"),
        ({"target": "a", "inputs": ("a",)}, "not the target 'a'"),
        ({"task": "regression"}, "regression needs numbers"),
    ],
)
def test_roles_that_do_not_fit_are_refused(write, choice, says):
    with pytest.raises(DataError) as caught:
        read_csv(write(PLAIN), **choice)
    assert says in str(caught.value)


def test_files_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_csv(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="Is a directory"):
        read_csv(tmp_path)
    with pytest.raises(DataError, match="no CSV file is chosen"):
        Csv().make(0)
    with pytest.raises(DataError, match="No such file"):
        Csv(path=str(tmp_path / "nothing.csv")).make(0)
    with pytest.raises(SettingsError, match="'drop', 'impute'"):
        Csv(missing="guess")


# --- as a data set of an experiment --------------------------------------------------------------------------------


def test_the_csv_maker_reads_a_file_once_until_it_changes(write):
    maker = Csv(path=str(write(PLAIN)), standardize=False)
    first = maker.make(1)
    assert maker.make(2) is first
    write(PLAIN + "100,200,no\n")
    assert maker.make(1).n == 5


def test_the_csv_maker_passes_its_settings_on(write):
    path = str(write(GAPS))
    data = datasets.get("csv", path=path, target="colour", inputs=["a"], missing="impute", standardize=False).make(0)
    assert (data.target, data.features, data.n) == ("colour", ("a",), 6)


def test_iris_is_fishers_table():
    data = datasets.get("iris", standardize=False).make(0)
    assert data.X.shape == (150, 4)
    assert data.classes == ("setosa", "versicolor", "virginica")
    np.testing.assert_array_equal(np.bincount(data.y), [50, 50, 50])
    np.testing.assert_allclose(data.X.mean(axis=0), [5.843333, 3.057333, 3.758, 1.199333], atol=1e-6)
    np.testing.assert_allclose(data.X.std(axis=0, ddof=1), [0.828066, 0.435866, 1.765298, 0.762238], atol=1e-6)
    np.testing.assert_array_equal(data.X[34], [4.9, 3.1, 1.5, 0.2])
    np.testing.assert_array_equal(data.X[37], [4.9, 3.6, 1.4, 0.1])
    means = [[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326], [6.588, 2.974, 5.552, 2.026]]
    for k in range(3):
        np.testing.assert_allclose(data.X[data.y == k].mean(axis=0), means[k], atol=1e-9)
    with asset("data", "iris.csv").open(encoding="utf-8") as file:
        assert next(csv.reader(file)) == ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]


def test_iris_can_be_taken_with_two_of_its_inputs():
    data = datasets.get("iris", inputs=["petal_length", "petal_width"]).make(0)
    assert data.features == ("petal_length", "petal_width")
    np.testing.assert_allclose(data.X.std(axis=0), 1)


def long_file(write, rows):
    block = "".join(f"{k % 97}.25,{k % 89}.5,{k % 83},{k % 79}.125,{'xyz'[k % 3]}\n" for k in range(10_000))
    return write("a,b,c,d,label\n" + block * (rows // 10_000))


def test_a_long_file_costs_no_more_than_a_few_plain_loops_over_it(write):
    path = long_file(write, 40_000)

    def plain():
        with open(path, newline="") as file:
            return [[float(cell) for cell in row[:4]] for row in list(csv.reader(file))[1:]]

    def seconds(call):
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    assert min(seconds(lambda: read_csv(path)) for _ in range(3)) < 3 * min(seconds(plain) for _ in range(3))
    assert read_csv(path).X.shape == (40_000, 4)


def test_memory_stays_near_the_size_of_the_numbers(write):
    path = long_file(write, 20_000)
    tracemalloc.start()
    data = read_csv(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * data.X.nbytes + 1_500_000  # all cells at once would be over 6 MB


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='ab1,.;- "\n\r\té=?', max_size=120).map(str.encode),
        st.lists(
            st.lists(st.sampled_from(["1", "2.5", "x", "", "-3e2", "y z"]), min_size=2, max_size=4), max_size=8
        ).map(lambda rows: "\n".join(",".join(row) for row in rows).encode()),
    )
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        path.write_bytes(content)
        try:
            data = read_csv(path)
        except DataError as error:
            refusal = str(error)
        else:
            refusal = f"{path}: none"
            assert data.n > 0
            assert np.isfinite(data.X).all()
        assert refusal.startswith(f"{path}: ")


@pytest.mark.parametrize("path", ["~nosuchuser/x.csv", "a\0b.csv", "x" * 5000 + ".csv"])
def test_a_path_that_cannot_be_one_is_a_data_error(path):
    with pytest.raises(DataError):
        Csv(path=path).make(0)
    with pytest.raises(DataError):
        read_csv(path)


def test_texts_with_underscores_are_texts(tmp_path):
    path = tmp_path / "months.csv"
    path.write_text("month,a,y\n" + "".join(f"2020_{i % 12 + 1:02d},{i},{i % 2}\n" for i in range(36)))
    assert "month=2020_03" in read_csv(path).features
    path.write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(36)) + "1_000,3,1\n")
    with pytest.raises(DataError, match=r"line 38, column 1 .* got '1_000'"):
        read_csv(path)


def test_a_constant_column_that_is_asked_for_is_zero_and_not_the_rounding_of_its_mean(tmp_path):
    path = tmp_path / "constant.csv"
    path.write_text("a,b,y\n" + "".join(f"0.1,{i},{i % 2}\n" for i in range(1000)))
    data = read_csv(path, "y", ("a", "b"))
    assert np.abs(data.X[:, 0]).max() < 1e-15
    assert data.scale[0] == 1.0
    assert any("'a' hardly changes" in note for note in data.notes)
    path.write_text("b,y\n" + "".join(f"{i},0.1\n" for i in range(1000)))
    assert np.abs(read_csv(path, task="regression").y).max() < 1e-15


@pytest.mark.parametrize("wrong", [{"task": "foo"}, {"delimiter": "ab"}, {"missing": "x"}, {"header": "maybe"}])
def test_a_word_that_is_not_among_the_choices_is_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        read_csv("never-read.csv", **wrong)
