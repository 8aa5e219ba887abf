"""From pydantic's error list to Portuguese sentences that name every bad field. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from runtime.errors import Invalid

from .envelope import Failure

_MAX_DETAILS = 20
GENERIC = "validation_error"

# pydantic's error type → the end of a sentence that begins with the field's name
_SENTENCES = {
    "extra_forbidden": "não é um campo desta chamada{hint}",
    "missing": "é obrigatório",
    "string_type": "deve ser um texto",
    "string_too_short": "não pode ser vazio",
    "string_too_long": "pode ter no máximo {max_length} caracteres",
    "string_unicode": "contém caracteres inválidos (surrogates isolados)",
    "uuid_type": "deve ser um UUID",
    "uuid_parsing": "deve ser um UUID",
    "bool_type": "deve ser true ou false",
    "bool_parsing": "deve ser true ou false",
    "list_type": "deve ser uma lista",
    "too_long": "pode ter no máximo {max_length} itens",
    "datetime_type": "deve ser uma data e hora em ISO 8601",
    "datetime_parsing": "deve ser uma data e hora em ISO 8601",
    "datetime_from_date_parsing": "deve ser uma data e hora em ISO 8601",
    "int_type": "deve ser um número inteiro",
    "int_parsing": "deve ser um número inteiro",
    "int_parsing_size": "deve ser um número inteiro",
    "int_from_float": "deve ser um número inteiro",
    "greater_than_equal": "deve ser no mínimo {ge}",
    "less_than_equal": "deve ser no máximo {le}",
    "enum": "deve ser um destes valores: {expected}",
    "literal_error": "deve ser um destes valores: {expected}",
    "model_attributes_type": "deve ser um objeto JSON",
    "model_type": "deve ser um objeto JSON",
    "dict_type": "deve ser um objeto JSON",
}
_CODES = {
    "extra_forbidden": "unsupported_field",
    "string_unicode": "invalid_text",
    "json_invalid": "malformed_json",
}


def custom_error(code: str, sentence: str) -> PydanticCustomError:
    """An error for use in validators; its code reaches the client, so does the sentence."""
    return PydanticCustomError("zapvisor", "{sentence}", {"code": code, "sentence": sentence})


def checked(check: Callable[[str], object]) -> Callable[[str], str]:
    """A pydantic validator from one of the runtime's checks (which raise Invalid)."""

    def validate(value: str) -> str:
        try:
            check(value)
        except Invalid as error:
            raise custom_error(error.code, error.message) from None
        return value

    return validate


def validation_failure(errors: Sequence[Any]) -> Failure:
    """One failure for all the bad fields; its code is specific when there is a single reason."""
    details = [_detail(error) for error in errors[:_MAX_DETAILS]]
    codes = {detail["code"] for detail in details}
    code = codes.pop() if len(codes) == 1 else GENERIC
    sentences = "; ".join(detail["message"].rstrip(".") for detail in details)
    return Failure(400, code, f"Dados inválidos: {sentences}.", details)


def _detail(error: Any) -> dict[str, str]:
    field = _field(error["loc"], given=error["type"] == "extra_forbidden")
    kind = error["type"]
    context = error.get("ctx") or {}
    if kind == "zapvisor":
        return {"field": field, "code": context["code"], "message": context["sentence"]}
    if kind == "json_invalid":
        return {"field": "body", "code": "malformed_json", "message": "o corpo não é JSON válido"}
    sentence = _SENTENCES.get(kind, "tem um valor inválido").format_map({"hint": "", **context})
    subject = "o corpo" if field == "body" else field
    return {
        "field": field,
        "code": _CODES.get(kind, GENERIC),
        "message": f"{subject} {sentence.replace(' or ', ' ou ')}",
    }


def _field(location: Sequence[str | int], *, given: bool = False) -> str:
    """``("body", "ownerId")`` → ``ownerId``; the place (body, query, path) is left out.

    For defaults pydantic gives a field's Python name where it otherwise gives the alias; a name
    that was ``given`` and that nobody knows stays as it is.
    """
    place, *parts = map(str, location)
    if place == "body" and parts and not given:
        parts[0] = to_camel(parts[0]) if "_" in parts[0] else parts[0]
    return ".".join(parts) or place
