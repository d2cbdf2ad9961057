"""A user's leakage function in the sandbox: what it gives, and each way in which it goes wrong."""

import os
import textwrap

import numpy as np
import pytest
from conftest import needs

from openforge.analysis import aes, cpa
from openforge.errors import DesignError, ToolError, ToolTimeout
from openforge.tools import leakage_function, process

DATA = np.arange(20, dtype=np.uint8).reshape(10, 2)
GOOD = """
import numpy as np
import shape

def leakage(data, guess):
    return np.bitwise_count(data[:, 1] ^ np.uint8(guess)) * shape.SCALE
"""


@pytest.fixture
def ask(tmp_path):
    """Predictions of a function given as text."""
    project, folder = tmp_path / "project", tmp_path / "work"
    project.mkdir()
    folder.mkdir()

    def predict(text, data=DATA, name="leak.py"):
        (project / "leak.py").write_text(textwrap.dedent(text))
        return leakage_function.predictions(project / name, data, folder, project)

    return predict


def test_predictions_by_guess(ask, tmp_path):
    """256 columns as the function computes them; it may import its neighbours."""
    (tmp_path / "project" / "shape.py").write_text("SCALE = 0.5\n")
    found = ask(GOOD)
    wanted = np.bitwise_count(DATA[:, 1:] ^ np.arange(256, dtype=np.uint8)) * 0.5
    assert found.dtype == np.float64 and (found == wanted).all()


def test_other_numbers_of_guesses_and_kinds(ask):
    """GUESSES is the number of columns; lists, booleans and integers are numbers too."""
    found = ask(
        "GUESSES = 3\ndef leakage(data, guess):\n    return [row[0] > guess for row in data]"
    )
    assert (found == (DATA[:, :1] > np.arange(3))).all()


def test_it_attacks_as_a_built_in_model_does(ask):
    """Distinct rows as classes: the key byte of an S-box is recovered with the user's function."""
    draw = np.random.default_rng(1)
    plain = draw.integers(0, 256, (800, 1), dtype=np.uint8)
    weights = np.bitwise_count(aes.SBOX[plain ^ 0x5C])
    rows, classes = leakage_function.distinct(plain)
    assert (rows[classes] == plain).all() and len(rows) < 257
    found = ask(f"""
        import numpy as np
        SBOX = np.array({aes.SBOX.tolist()})
        def leakage(data, guess):
            return np.bitwise_count(SBOX[data[:, 0] ^ guess])
    """, rows)  # fmt: skip
    sums = cpa.Sums(len(rows), 1, integers=False)
    sums.add(weights + draw.normal(0, 1, (800, 1)), classes)
    place = cpa.rank(cpa.correlations(sums, found), 0x5C)
    assert place.rank == 0 and place.best_guess == 0x5C


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def leak(data, guess):\n    return 1", r"leak.py: there is no function leakage"),
        ("x = 1\n\ndef leakage(data, guess:\n", r"leak.py:3: SyntaxError"),
        ("import nowhere_to_be_found", r"leak.py:1: ModuleNotFoundError"),
        ("def leakage(data, n):\n    f(n)\ndef f(n):\n    return 1 / n", r"leak.py:4: ZeroDiv"),
        ("\ndef leakage(data, guess):\n    return data", r"leak.py:2: .*shape \(10, 2\), not"),
        ("def leakage(data, guess):\n    return 7", r"leak.py:1: .*shape \(\), not \(10,\)"),
        ("def leakage(data, guess):\n    return ['a'] * len(data)", r"leak.py:1: .*not real numb"),
        (
            "def leakage(data, guess):\n    return [0, float('nan')] + [0] * 8",
            r"leak.py:1: leakage\(data, 0\) returned nan for row 1, \[2, 3\]",
        ),
        ("def leakage(data, guess):\n    data[0] = 1\n    return data", r"leak.py:2: .*read-only"),
        ("def leakage(data, guess):\n    raise SystemExit(0)", r"leak.py:2: SystemExit"),
        (
            "import random\ndef leakage(data, guess):\n    return [random.random() for _ in data]",
            r"leak.py:2: .*other numbers when it was called again",
        ),
        ("GUESSES = 0\ndef leakage(data, guess):\n    return 1", r"GUESSES is to be a number from"),
        ("GUESSES = '9'\ndef leakage(data, guess):\n    return 1", r"GUESSES .* not '9'"),
    ],
)  # fmt: skip
def test_a_function_that_is_not_as_agreed(ask, text, message):
    """The message says what is wrong, with the file and the line."""
    with pytest.raises(DesignError, match=message):
        ask(text)


def test_too_many_predictions_are_refused(ask):
    """Rows times guesses have a limit, known before the function is called."""
    data = np.zeros((1000, 1), dtype=np.uint8)
    with pytest.raises(DesignError, match="1000 rows of data times 65536 guesses are too many"):
        ask("GUESSES = 65536\ndef leakage(data, guess):\n    raise ValueError", data)


@pytest.mark.parametrize(
    ("name", "message"), [("no.py", "no.py: there is no such file"), ("../a.py", "in the project")]
)
def test_a_file_that_is_not_there(ask, name, message):
    """Also one outside the project."""
    with pytest.raises(DesignError, match=message):
        ask("", name=name)


def test_data_that_are_no_bytes(ask):
    """Rows of bytes, at least one and not too many."""
    for data in (DATA.astype(int), DATA[0], DATA[:0], np.zeros((65_537, 1), dtype=np.uint8)):
        with pytest.raises(ValueError, match="data are to be uint8"):
            ask("", data)


def test_time_and_memory_are_limited(ask, monkeypatch):
    """A function that never ends, and one that takes all memory."""
    monkeypatch.setattr(leakage_function, "_LIMITS", process.Limits(timeout_s=0.8))
    with pytest.raises(ToolTimeout, match="the leakage function in leak.py did not end"):
        ask("while True:\n    pass")
    monkeypatch.setattr(leakage_function, "_LIMITS", process.Limits(memory_bytes=150 << 20))
    with pytest.raises(ToolError, match="memory limit"):
        ask("import time\nx = b'x' * (400 << 20)\ntime.sleep(9)")


@pytest.mark.parametrize(
    "forged",
    [
        "pass",
        "open(sys.argv[3], 'wb').write(b'x' * 500)",
        "np.save(sys.argv[3], np.array([[{}]] * 10, dtype=object), allow_pickle=True)",
        "np.save(sys.argv[3], np.zeros((9, 256)))",
        "np.save(sys.argv[3], np.zeros((10, 4), dtype=np.float32))",
        "np.save(sys.argv[3], np.zeros((10, 0)))",
        "np.save(sys.argv[3], np.full((10, 3), np.nan))",
        "os.symlink('/etc/passwd', sys.argv[3])",
        "os.mkfifo(sys.argv[3])",
        "open(sys.argv[4], 'w').write('[' * 60000)",
        "open(sys.argv[4], 'w').write('7')",
        "os.symlink('/etc/passwd', sys.argv[4])",
    ],
)
def test_a_forged_answer_is_not_believed(ask, forged):
    """What hostile code leaves in place of the runner's answer is an error of the tool."""
    with pytest.raises(ToolError, match="left no answer"):
        ask(f"import os, sys\nimport numpy as np\n{forged}\nos._exit(0)")


def test_links_are_not_followed(ask):
    """Not even to see whether what they lead to would be an answer."""
    with pytest.raises(ToolError, match="symbolic links"):
        ask("import os, sys\nos.symlink('/etc/passwd', sys.argv[3])\nos._exit(0)")


def test_it_sees_the_project_read_only_and_no_network(ask, tmp_path):
    """Nothing else of the host can be read, and nothing in the project written."""
    needs("bubblewrap")
    secret = tmp_path / "secret"
    secret.write_text("x")
    for line, error in (
        (f"open({str(secret)!r})", "FileNotFoundError"),
        ("open(__file__, 'a')", "OSError: .*Read-only"),
        ("import socket; socket.create_connection(('1.1.1.1', 53), 1)", "OSError"),
    ):
        with pytest.raises(DesignError, match=f"leak.py:1: {error}"):
            ask(line)
    assert os.listdir(tmp_path / "project") == ["leak.py"]
