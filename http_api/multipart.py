"""An uploaded form with one file, read while it streams in: the file goes straight to its sink.

Never more than a piece of the request is in memory, whatever the client sends; the headers of a
part are bounded by the parser.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from runtime.errors import Invalid, TooLarge

MAX_FIELDS = 20
MAX_FIELD_BYTES = 16 * 1024
FILE_FIELD = "file"


@dataclass
class Form:
    """The fields of a form, and what the client says of its file."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None
    mimetype: str | None = None
    has_file: bool = False


async def read_form(request: Request, write: Callable[[bytes], Awaitable[None]]) -> Form:
    """Read ``multipart/form-data``; the bytes of the field ``file`` go to ``write``.

    Raises Invalid for anything else, TooLarge for too much beside the file.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise _malformed("Content-Type deve ser multipart/form-data com boundary")
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            for piece in reader.take():
                await write(piece)
        parser.finalize()
    except FormParserError as error:
        raise _malformed(type(error).__name__) from error
    except ClientDisconnect as gone:
        raise _malformed("a requisição foi interrompida") from gone
    if not reader.complete:
        raise _malformed("o formulário não termina")
    return reader.form


class _Reader:
    """Gathers what the parser finds."""

    def __init__(self) -> None:
        self.form = Form()
        self.complete = False
        self._pieces: list[bytes] = []
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()
        self._is_file = False

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def take(self) -> list[bytes]:
        """The pieces of the file since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _on_part_begin(self) -> None:
        self._headers = {}
        self._value = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == FILE_FIELD
        if self._is_file:
            if self.form.has_file:
                raise _malformed("só um arquivo por mensagem")
            self.form.has_file = True
            name = options.get(b"filename")
            self.form.file_name = None if name is None else name.decode("utf-8", "replace")
            mimetype = self._headers.get(b"content-type")
            self.form.mimetype = None if mimetype is None else mimetype.decode("latin-1")
        elif b"filename" in options:
            raise _another_file(self._name)
        elif len(self.form.fields) >= MAX_FIELDS:
            raise _too_much()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pieces.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise _too_much()

    def _on_part_end(self) -> None:
        if not self._is_file:
            try:
                self.form.fields[self._name] = self._value.decode("utf-8")
            except UnicodeDecodeError:
                raise _malformed(f"{self._name} não é texto em UTF-8") from None

    def _on_end(self) -> None:
        self.complete = True


def _malformed(why: str) -> Invalid:
    return Invalid(f"O formulário não pôde ser lido: {why}.", code="malformed_form")


def _another_file(name: str) -> Invalid:
    message = f"{name[:64]} não é o campo do arquivo (quis dizer {FILE_FIELD}?)"
    problem = {"field": name[:64], "code": "unsupported_field", "message": message}
    return Invalid(f"Dados inválidos: {message}.", code="unsupported_field", details=[problem])


def _too_much() -> TooLarge:
    return TooLarge("Os campos do formulário são grandes demais.", code="form_too_large")
