"""Finds out in which block and at which field of a text config a position lies."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*) | (?P<text>"(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'?)
      | (?P<word>[\w.+-]+) | (?P<sign>.)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class TextPosition:
    """Where a position lies.

    Attributes:
        blocks: the names of the open blocks, outermost first.
        field: the field whose name has been read and whose value has not, or None between fields.
        token: the token that starts at the position, or "" at the end of the text.
    """

    blocks: tuple[str, ...]
    field: str | None
    token: str

    @property
    def path(self) -> str:
        """The field, or else the block, as a dotted path; "" at the top level."""
        return ".".join([*self.blocks, self.field] if self.field else self.blocks)


@dataclass
class _Block:
    """A block while it is read: its name, the field at hand, and whether that field's value is complete or a [list]."""

    name: str
    field: str | None = None
    value_ended: bool = False
    in_list: bool = False

    def take(self, token: str, is_word: bool) -> None:
        """Reads a token that neither opens nor closes a block."""
        if token == "[":
            self.in_list = True
        elif token == "]":
            self.in_list, self.value_ended = False, True
        elif token == ":" or self.in_list:
            return
        elif is_word and (self.field is None or self.value_ended):
            self.field, self.value_ended = token, False
        else:
            self.value_ended = True


def locate(text: str, line: int, column: int) -> TextPosition:
    """Reads ``text`` up to ``line`` and ``column`` (both from 1), as protobuf's text format counts them."""
    end = sum(len(earlier) + 1 for earlier in text.split("\n")[: line - 1]) + column - 1
    stack = [_Block("")]
    found = ""
    for match in _TOKEN.finditer(text):
        token, kind = match.group(), match.lastgroup
        if kind == "skip":
            continue
        if match.start() >= end:
            found = token
            break
        block = stack[-1]
        if kind == "sign" and token in "{<":
            stack.append(_Block(block.field or ""))
        elif kind == "sign" and token in "}>":
            if len(stack) > 1:
                stack.pop()
            stack[-1].value_ended = not stack[-1].in_list
        else:
            block.take(token, kind == "word")
    field = None if stack[-1].value_ended else stack[-1].field
    return TextPosition(tuple(block.name for block in stack[1:]), field, found)
