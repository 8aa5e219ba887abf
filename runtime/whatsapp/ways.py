"""What is told of a way to WhatsApp that fails: a stable code, and a sentence of ours for each.

The causes are the bridge's words (``bridge/src/session/way.ts``). Nothing of the text of a foreign
error gets any further than the log.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why WhatsApp cannot be reached for now.

    Attributes:
        code: stable snake_case word.
        reason: Portuguese sentence for a person.
        detail: the same more closely, for the operator alone: what stands behind the address of a
            proxy is nobody else's business.
    """

    code: str
    reason: str
    detail: str | None = None


_CERTIFICATE = (
    " Confira o relógio desta máquina e se a rede inspeciona TLS; a autoridade de quem inspeciona "
    "se informa em NODE_EXTRA_CA_CERTS."
)
_WAYS = {
    "dns_failed": "O endereço do WhatsApp não foi encontrado. Confira o DNS e a internet.",
    "connection_refused": "A conexão com o WhatsApp foi recusada na rede. Confira o firewall.",
    "network_unreachable": "A rede não alcança o WhatsApp. Confira a internet desta máquina.",
    "connection_reset": "A rede interrompeu a conexão antes que o WhatsApp respondesse.",
    "timed_out": "O WhatsApp não respondeu a tempo. Confira a internet desta máquina.",
    "certificate_untrusted": "O certificado apresentado no lugar do WhatsApp não é confiável."
    + _CERTIFICATE,
    "certificate_expired": "O certificado apresentado pelo WhatsApp está vencido para esta máquina."
    + _CERTIFICATE,
    "certificate_not_yet_valid": "O certificado apresentado pelo WhatsApp ainda não vale para esta "
    "máquina." + _CERTIFICATE,
    "certificate_wrong_host": "O certificado apresentado não é do WhatsApp." + _CERTIFICATE,
    "tls_failed": "Não foi possível abrir uma conexão TLS com o WhatsApp." + _CERTIFICATE,
    "http_answer": "Outro servidor respondeu no lugar do WhatsApp. Confira se a rede pede login "
    "(portal) ou bloqueia o WhatsApp.",
    "not_whatsapp": "Quem respondeu não provou ser o WhatsApp. Confira se algo na rede intercepta "
    "a conexão.",
    "connection_lost": "A conexão com o WhatsApp caiu; ela é refeita.",
    "silent": "O WhatsApp deixou de responder; a conexão é refeita.",
    "backlog": "Há mensagens demais à espera; a conexão volta quando forem guardadas.",
    "whatsapp_closed": "O WhatsApp encerrou a conexão; ela é refeita.",
    "replaced_for_now": "Outra sessão assumiu esta conexão; ela é retomada em um minuto.",
}
_PROXY = "proxy_unavailable"
_PROXY_REASON = "O proxy da conexão não está disponível."
_PROXIES = {
    "proxy_not_allowed": "O endereço do proxy não existe ou não é permitido: só endereços públicos "
    "da internet, ou os listados em ZAPVISOR_PROXY_PRIVATE_HOSTS.",
    "proxy_unreachable": "O proxy não pode ser alcançado.",
    "proxy_certificate": "O certificado do proxy não é confiável.",
    "proxy_credentials": "O proxy recusou o usuário e a senha, ou os exige.",
    "proxy_refused": "O proxy se recusou a abrir a conexão com o WhatsApp.",
    "proxy_answer": "O que respondeu no endereço do proxy não é um proxy deste tipo.",
}
_ANY_WAY = "O WhatsApp não pode ser alcançado agora; tenta-se outra vez."


def trouble_of(cause: str) -> Trouble:
    """What to tell of a way that failed; the bridge's words, and those of a newer bridge."""
    if cause in _PROXIES:
        return Trouble(_PROXY, _PROXY_REASON, _PROXIES[cause])
    if cause in _WAYS:
        return Trouble(cause, _WAYS[cause])
    return Trouble("whatsapp_unreachable", _ANY_WAY)
