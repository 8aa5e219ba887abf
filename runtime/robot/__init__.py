"""The robot: welcome, menu, reminder and goodbye, as ``whatsapp_configuracoes`` says.

- ``texts``: what it says besides the texts of its configuration; folding texts for comparison.
- ``menu``: the numbered options in a menu's text, and which one an answer means. Pure.
- ``config``: rows of ``whatsapp_configuracoes`` as values, and which one serves whom. Pure.
- ``decide``: state + what happened + configuration + time → new state and messages. Pure.
- ``ears``: which settled messages it hears of. Pure.
- ``speech``: its messages as commands of the outbox and entries of the journal. Pure.
- ``robot``: the supervised child that carries the decisions out.

It lives on durable facts alone: the writer notes what it shall hear in the transaction that settles
a message, and what it says is written in the one that forgets what it heard (``journal.robot``).
"""

from .robot import Robot

__all__ = ["Robot"]
