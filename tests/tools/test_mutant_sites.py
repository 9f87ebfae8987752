"""Which mutants does a source text give, which tokens are never changed, and which mutants are chosen?"""

from __future__ import annotations

import pytest

from tools.mutants.choice import chosen
from tools.mutants.sites import mutants_of

CHANGES = {
    "x = a + b": ["x = a - b"],
    "x = a - b": ["x = a + b"],
    "x = a * b": ["x = a // b"],
    "x = a / b": ["x = a * b"],
    "x = a // b": ["x = -(-a // b)", "x = a * b"],
    "x = -(-a // b)": ["x = (a // b)"],
    "x = (a + b) // c[i]": ["x = (a - b) // c[i]", "x = -(-(a + b) // (c[i]))", "x = (a + b) * c[i]"],
    "x = a % b": ["x = a // b"],
    "x = '%d' % b": [],
    "x = a ** b": ["x = a * b"],
    "x = a << b": ["x = a >> b"],
    "x = a & b | c ^ d": ["x = a & b & c ^ d", "x = a & b | c & d", "x = a | b | c ^ d"],
    "x += a": ["x -= a"],
    "x *= a": ["x //= a"],
    "x = (a)  +  (b)": ["x = (a)  -  (b)"],
    "x = a < b <= c": ["x = a < b < c", "x = a <= b <= c"],
    "x = a > b": ["x = a >= b"],
    "x = a >= b": ["x = a > b"],
    "x = a == b": ["x = a != b"],
    "x = a is not None": ["x = a is None"],
    "x = a not in b": ["x = a in b"],
    "x = a and b or c": ["x = a and b and c", "x = a or b or c"],
    "x = not a": ["x = a"],
    "x = -a": ["x = a"],
    "x = ~a": ["x = a"],
    "x = 0": ["x = 1"],
    "x = 1": ["x = 0", "x = 2"],
    "x = 7": ["x = 8"],
    "x = 0x0F": ["x = 16"],
    "x = 0.2632": ["x = 1.2632"],
    "x = 1.0": ["x = 0.0", "x = 2.0"],
    "x = 1e300": [],
    "x = True": ["x = False"],
    "x = min(a, b)": ["x = max(a, b)"],
    "x = np.maximum(a, b)": ["x = np.minimum(a, b)"],
    "x = min": [],
    "x = any(a)": ["x = all(a)"],
    "x = math.ceil(a)": ["x = math.floor(a)"],
    "x = a if b else c": ["x = a if not b else c"],
    "x = [a for a in b if f(a)]": ["x = [a for a in b if not f(a)]"],
    "while x: break": ["while not x: break", "while x: continue"],
    "for a in b: continue": ["for a in b: break"],
    "é = 'é', a + b": ["é = 'é', a - b"],  # the syntax tree counts columns in bytes
    "x = {'a': 3, b + c: d}": ["x = {'a': 3, b - c: d}", "x = {'a': 4, b + c: d}"],
    "x = f(a, key=lambda: a < b)": ["x = f(a, key=lambda: a <= b)"],
}


@pytest.mark.parametrize(("source", "mutated"), CHANGES.items())
def test_each_operator_and_constant_changes_into_its_counterpart(source: str, mutated: list[str]) -> None:
    found = mutants_of("toy.py", source + "\n")
    assert sorted(mutant.mutated for mutant in found) == sorted(mutated)
    for mutant in found:
        assert mutant.original == source
        assert mutant.apply(source + "\n") == (mutant.mutated + "\n")


NEVER_CHANGED = [
    '"""1 and 0 < 2: not a number."""',
    "x: Literal[1, 2]",
    "def f(x: Annotated[int, Field(ge=1)]) -> Literal[0]: ...",
    "X = Literal[1, 2]",
    "X: TypeAlias = tuple[1]",
    "X = int | None",
    "X = dict[str, int] | list[Layer]",
    "T = TypeVar('T', bound=f(1))",
    "x = cast(f(1), y)",
    "@dataclass(frozen=True, slots=True)\nclass A: ...",
    "@lru_cache(maxsize=1)\ndef f(): ...",
    "class A(B, total=False): ...",
    "class A:\n    __slots__ = ('a', 'b') + (1,)",
    "class A:\n    model_config = ConfigDict(frozen=True)",
    "__all__ = ['a'] + b",
    "raise ValueError(f'{n - 1} of {n}', n + 1, strict=True)",
    "assert x, n + 1",
    "warnings.warn(f'{n - 1}', stacklevel=2)",
    "x = f'{n - 1} of {min(a, b)}'",
    "x = zip(a, b, strict=True)",
    "if TYPE_CHECKING:\n    x = 1",
    "if __name__ == '__main__':\n    main(1)",
]


@pytest.mark.parametrize("source", NEVER_CHANGED)
def test_text_types_and_options_are_left_alone(source: str) -> None:
    assert mutants_of("toy.py", source + "\n") == []


MODULE = """\
LIMIT = 5


class Box:
    size: int = 3

    def room(self, used: int = 0) -> int:
        def left() -> int:
            return self.size - used

        return max(
            left(),
            0,
        )


def twice(n: int) -> int:
    if n > LIMIT:
        return n
    if n > LIMIT:
        return n * 2
    return n + n + n
"""


def test_a_mutant_knows_its_function_line_and_place() -> None:
    found = [
        (mutant.line, mutant.function, mutant.mutated, mutant.occurrence)
        for mutant in mutants_of("box.py", MODULE)
    ]
    assert found == [
        (1, "<module>", "LIMIT = 6", 1),
        (5, "Box", "size: int = 4", 1),
        (7, "Box.room", "def room(self, used: int = 1) -> int:", 1),
        (9, "Box.room.left", "return self.size + used", 1),
        (11, "Box.room", "return min(", 1),
        (13, "Box.room", "1,", 1),
        (18, "twice", "if n >= LIMIT:", 1),
        (20, "twice", "if n >= LIMIT:", 2),
        (21, "twice", "return n // 2", 1),
        (21, "twice", "return n * 3", 1),
        (22, "twice", "return n - n + n", 1),
        (22, "twice", "return n + n - n", 1),
    ]


def test_a_change_across_lines_is_told_in_one() -> None:
    source = "x = f(\n    a  # the dividend\n    // b\n)\n"
    rounded_up = next(mutant for mutant in mutants_of("toy.py", source) if "-(-" in mutant.mutated)
    assert rounded_up.original == "a  # the dividend // b"
    assert rounded_up.apply(source) == "x = f(\n    -(-a // b)\n)\n"


class TestChoice:
    def test_the_same_seed_chooses_the_same_and_another_seed_others(self) -> None:
        mutants = mutants_of("box.py", MODULE)
        assert chosen(mutants, 5, seed=1) == chosen(reversed(mutants), 5, seed=1)
        assert len({tuple(chosen(mutants, 5, seed)) for seed in range(20)}) >= 5

    @pytest.mark.parametrize("seed", range(10))
    def test_every_function_has_its_turn_before_any_has_a_second(self, seed: int) -> None:
        mutants = mutants_of("box.py", MODULE)
        functions = [mutant.function for mutant in chosen(mutants, 5, seed)]
        assert sorted(functions) == ["<module>", "Box", "Box.room", "Box.room.left", "twice"]

    @pytest.mark.parametrize("seed", range(10))
    def test_a_place_gives_its_second_way_last(self, seed: int) -> None:
        mutants = mutants_of("toy.py", "def f():\n    return a + b - c * 1\n")
        assert len(mutants) == 5  # +, -, *, and 1 into 0 or 2
        assert len({mutant.start for mutant in chosen(mutants, 4, seed)}) == 4

    def test_an_edit_of_one_function_leaves_the_choice_in_the_others(self) -> None:
        # As many mutants of `twice` as before, and all lines below it have moved.
        edited = "# A new line.\n" + MODULE.replace("n * 2", "n * 9")

        def others(source: str) -> list[str]:
            picked = chosen(mutants_of("box.py", source), 8, seed=1)
            return [mutant.mutated for mutant in picked if mutant.function != "twice"]

        assert others(edited) == others(MODULE)

    def test_a_small_module_gives_what_it_has(self) -> None:
        mutants = mutants_of("box.py", MODULE)
        assert chosen(mutants, 1000, seed=1) == sorted(
            mutants, key=lambda mutant: (mutant.start, mutant.end, mutant.replacement)
        )
        assert chosen([], 15, seed=1) == []
