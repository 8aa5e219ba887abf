"""What a person can do about what is wrong: Portuguese for the API, English for a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from .storage.classify import ErrorClass


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do, as a sentence in each language."""

    pt: str
    en: str


_KINDS: dict[ErrorClass, Advice] = {
    ErrorClass.NETWORK: Advice(
        "Confira SUPABASE_URL, o DNS e a rede desta máquina.",
        "check SUPABASE_URL, DNS and the network of this machine",
    ),
    ErrorClass.TIMEOUT: Advice(
        "Confira a rede e a carga do banco de dados; o projeto pode estar acordando de uma pausa.",
        "check the network and the load of the database; the project may be waking from a pause",
    ),
    ErrorClass.BUSY: Advice(
        "Alivie ou aumente o banco de dados; as mensagens esperam.",
        "relieve or enlarge the database; messages wait meanwhile",
    ),
    ErrorClass.SERVER: Advice(
        "Veja a página de status do Supabase e o log do projeto; as mensagens esperam.",
        "see Supabase's status page and the project's log; messages wait meanwhile",
    ),
    ErrorClass.ACCESS: Advice(
        "Confira SUPABASE_SERVICE_ROLE_KEY (ou SUPABASE_SECRET_KEY), e se o projeto está pausado "
        "ou acima da cota.",
        "check SUPABASE_SERVICE_ROLE_KEY (or SUPABASE_SECRET_KEY), and whether the project is "
        "paused or over its quota",
    ),
    ErrorClass.SCHEMA: Advice("Execute `zapvisor migrate`.", "run `zapvisor migrate`"),
    ErrorClass.DATA: Advice(
        "Uma regra do banco recusa o teste: veja os gatilhos e as restrições do projeto.",
        "a rule of the database refuses this: look at the project's triggers and constraints",
    ),
    ErrorClass.ANSWER: Advice(
        "Confira SUPABASE_URL: quem responde nesse endereço não é um projeto Supabase.",
        "check SUPABASE_URL: what answers there is no Supabase project",
    ),
}

_JOURNAL: dict[str, Advice] = {
    "journal_disk_full": Advice(
        "Libere espaço no disco do diretório de dados.",
        "make room on the disk of the data directory",
    ),
    "journal_io_error": Advice(
        "Confira o disco e se o diretório de dados pertence ao usuário do zapvisor.",
        "check the disk, and that the data directory belongs to zapvisor's user",
    ),
    "journal_corrupt": Advice(
        "Pare o zapvisor, copie o diretório de dados e execute `zapvisor journal verify`; "
        "não apague o arquivo.",
        "stop zapvisor, copy the data directory and run `zapvisor journal verify`; "
        "do not delete the file",
    ),
    "journal_too_new": Advice(
        "Use a versão do zapvisor que gravou o arquivo, ou uma mais nova (deploy/README.md).",
        "run the release that wrote it, or a later one (deploy/README.md, Rollback)",
    ),
    "journal_stopped": Advice(
        "Inicie o sistema: POST /api/whatsapp-bootstrap/initialize.",
        "start the system: POST /api/whatsapp-bootstrap/initialize",
    ),
}

SUPERVISION = Advice(
    "Veja `zapvisor tree`; se a árvore não responde, reinicie o processo e guarde o log.",
    "see `zapvisor tree`; if the tree does not answer, restart the process and keep the log",
)
BRIDGE = Advice(
    "A supervisão reinicia a ponte sozinha: repita o teste em um minuto. Se persistir, "
    "`zapvisor tree` mostra por que ela terminou e `zapvisor doctor` confere o Node.",
    "supervision restarts the bridge: repeat the test in a minute. If it persists, `zapvisor "
    "tree` shows why it ended, and `zapvisor doctor` checks Node",
)


def about_supabase(kind: ErrorClass) -> Advice:
    """For an error of Supabase."""
    return _KINDS[kind]


def about_journal(code: str) -> Advice:
    """For a journal that refuses, by the code of its refusal."""
    return _JOURNAL.get(code, _JOURNAL["journal_corrupt"])
