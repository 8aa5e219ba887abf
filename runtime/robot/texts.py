"""What the robot says besides the texts of its configuration, and texts made comparable. Pure."""

from __future__ import annotations

import unicodedata

INVALID = "Opção inválida. Responda com o número de uma das opções abaixo."
CHOSEN = "Você escolheu: {label}. Um atendente vai continuar a conversa, aguarde um momento."
HANDOVER = "Vamos encaminhar você a um de nossos atendentes. Aguarde um momento, por favor."
REMINDER = "Nossos atendentes ainda estão ocupados. Você continua na fila e já será atendido."

MIN_TELLING = 20
"""Characters from which on a text is too long to be the same by chance."""


def fold(text: str) -> str:
    """A text as it is compared: without case, accents, punctuation, emoji and spacing.

    ``"*Opção*  Nº 1️⃣!"`` and ``"opcao no 1"`` are the same.
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    kept = (
        character if unicodedata.category(character)[0] in "LN" else " "
        for character in decomposed
        if unicodedata.category(character) not in ("Mn", "Me", "Cf")
    )
    return " ".join("".join(kept).split())
