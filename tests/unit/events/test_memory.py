"""What is found once is not found again, and never given for another object."""

from __future__ import annotations

from libs.events.memory import once_per


def test_the_same_object_is_asked_about_once_and_an_equal_one_again() -> None:
    asked: list[dict[str, int]] = []

    @once_per(8)
    def total(numbers: dict[str, int], factor: int) -> list[int]:
        asked.append(numbers)
        return [sum(numbers.values()) * factor]

    numbers, twin = {"a": 1, "b": 2}, {"a": 1, "b": 2}
    first = total(numbers, 2)
    assert first == [6]
    assert total(numbers, 2) is first
    assert total(twin, 2) == first
    assert total(numbers, 3) == [9]
    assert [each is numbers for each in asked] == [True, False, True]


def test_no_object_is_taken_for_one_that_is_gone() -> None:
    @once_per(4)
    def content(numbers: list[int]) -> int:
        return numbers[0]

    # Each list is dropped at once, so that its memory (and its id) would be used again.
    assert [content([number]) for number in range(1000)] == list(range(1000))


def test_it_forgets_when_it_is_full() -> None:
    count = 0

    @once_per(2)
    def length(numbers: list[int]) -> int:
        nonlocal count
        count += 1
        return len(numbers)

    one, two, three = ([0] * size for size in (1, 2, 3))
    assert [length(each) for each in (one, two, three, three, one)] == [1, 2, 3, 3, 1]
    assert count == 4  # the third took the place of both
