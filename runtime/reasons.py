"""What a code means, in our own sentences: all that leaves this process of an error not ours.

The text of a foreign exception may quote a key, a row of another owner or an inner address, so it
is in the log only. A code is SQLSTATE, a PGRST code, an HTTP status, or a word of ours. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence: Portuguese for the API, English for a terminal."""

    pt: str
    en: str


MIGRATION_REQUIRED = "migration_required"

# By code; of SQLSTATE and PGRST codes the longest beginning that is listed decides.
_REASONS: dict[str, Reason] = {
    # The way to Supabase
    "network": Reason("O Supabase não responde.", "Supabase does not answer"),
    "dns": Reason(
        "O nome em SUPABASE_URL não foi encontrado (DNS).",
        "the name in SUPABASE_URL is not known (DNS)",
    ),
    "tls": Reason(
        "A conexão cifrada (TLS) com o Supabase falhou: certificado, relógio ou proxy.",
        "the encrypted connection (TLS) failed: certificate, clock or proxy",
    ),
    "timeout": Reason("O Supabase não respondeu a tempo.", "Supabase did not answer in time"),
    "invalid_url": Reason(
        "SUPABASE_URL não é um endereço que se possa chamar.", "SUPABASE_URL makes no sense"
    ),
    "invalid_key": Reason(
        "A chave do Supabase tem caracteres que não podem ser enviados.",
        "the key of Supabase has characters that cannot be sent",
    ),
    "redirected": Reason(
        "O endereço em SUPABASE_URL responde com um redirecionamento: não é um projeto Supabase.",
        "what answers there redirects: it is no Supabase project",
    ),
    "unexpected_answer": Reason(
        "O que responde no endereço do Supabase não é um projeto Supabase.",
        "what answers there is no Supabase project",
    ),
    MIGRATION_REQUIRED: Reason(
        "As tabelas ou funções do zapvisor faltam ou estão desatualizadas neste projeto Supabase: "
        "execute `zapvisor migrate`.",
        "zapvisor's tables or functions are missing or old",
    ),
    "unencodable_text": Reason(
        "O texto contém caracteres que não podem ser guardados.",
        "the text has characters that cannot be stored",
    ),
    # HTTP
    "401": Reason("O Supabase não aceita a chave.", "Supabase does not accept the key"),
    "402": Reason("O projeto Supabase está acima da cota.", "the project is over its quota"),
    "403": Reason("O Supabase recusa o acesso.", "Supabase refuses access"),
    "404": Reason(
        "O que responde no endereço do Supabase não tem esta função.",
        "what answers there does not have what is asked for",
    ),
    "408": Reason("O Supabase não respondeu a tempo.", "Supabase did not answer in time"),
    "413": Reason("Os dados são grandes demais.", "the data are too large"),
    "429": Reason("O Supabase pede que se espere.", "Supabase asks to wait"),
    "504": Reason("O Supabase não respondeu a tempo.", "Supabase did not answer in time"),
    "524": Reason("O Supabase não respondeu a tempo.", "Supabase did not answer in time"),
    "540": Reason("O projeto Supabase está pausado.", "the project is paused"),
    # PostgREST
    "PGRST0": Reason(
        "O PostgREST não alcança o banco de dados.", "PostgREST does not reach the database"
    ),
    "PGRST1": Reason("O PostgREST não entende o pedido.", "PostgREST does not understand us"),
    "PGRST2": Reason(
        "Uma tabela, coluna ou função falta no banco de dados.",
        "a table, column or function is missing",
    ),
    "PGRST3": Reason(
        "O Supabase não aceita a chave: é inválida, expirou ou é de outro projeto.",
        "Supabase does not accept the key: invalid, expired or of another project",
    ),
    # PostgreSQL
    "08": Reason("O banco de dados não responde.", "the database does not answer"),
    "0A": Reason("O banco de dados não sabe fazer isso.", "the database cannot do that"),
    "22": Reason("Um valor não serve para a coluna.", "a value does not fit its column"),
    "23": Reason("Uma regra da tabela recusa a linha.", "a rule of the table refuses the row"),
    "23502": Reason("Falta um valor obrigatório.", "a value that must be there is missing"),
    "23503": Reason(
        "A linha a que esta se refere não existe.", "the row that this one refers to is missing"
    ),
    "23505": Reason("Já existe uma linha com esse valor.", "there is a row with this value"),
    "id_taken": Reason(
        "Uma linha de outro dono ou de outra conexão tem o id desta mensagem.",
        "a row of another owner or connection has the id of this message",
    ),
    "23514": Reason("Uma restrição da tabela recusa a linha.", "a constraint refuses the row"),
    "25006": Reason(
        "O banco de dados só permite leitura: o disco pode estar cheio.",
        "the database is read-only: its disk may be full",
    ),
    "28": Reason("O banco de dados recusa o acesso.", "the database refuses access"),
    "3D": Reason("O banco de dados não existe.", "there is no such database"),
    "40": Reason("Outra transação estava no caminho.", "another transaction was in the way"),
    "42": Reason(
        "Uma tabela, coluna ou função falta ou é outra.",
        "a table, column or function is missing or different",
    ),
    "42501": Reason("A chave não tem permissão para isso.", "the key has no right to do that"),
    "44": Reason("Uma regra da tabela recusa a linha.", "a rule of the table refuses the row"),
    "53": Reason(
        "O banco de dados está sem conexões, memória ou disco.",
        "the database is out of connections, memory or disk",
    ),
    "54": Reason("A linha passa de um limite do banco.", "the row exceeds a limit"),
    "55": Reason("Outra transação mantém a linha ocupada.", "the row is held by others"),
    "57": Reason("O banco de dados está parando ou iniciando.", "the database stops or starts"),
    "57014": Reason("O banco de dados demorou demais.", "the database took too long"),
    "58": Reason("O banco de dados tem um erro de sistema.", "the database has a system error"),
    "P0": Reason("Um gatilho do projeto recusa a linha.", "a trigger refuses the row"),
    "XX": Reason("O banco de dados tem um erro interno.", "the database has an internal error"),
    # The journal
    "journal_disk_full": Reason("O disco está cheio.", "the disk is full"),
    "journal_io_error": Reason(
        "O arquivo da fila não pode ser lido ou gravado.",
        "the journal's file cannot be read or written",
    ),
    "journal_corrupt": Reason("O arquivo da fila está danificado.", "the file is damaged"),
    "journal_too_new": Reason(
        "O arquivo da fila é de uma versão mais nova do zapvisor.",
        "the file is of a newer release",
    ),
    "journal_stopped": Reason("A fila está parada.", "the journal is not running"),
    "journal_damaged_entry": Reason(
        "O registro mudou no disco depois de aceito.", "the entry changed on the disk"
    ),
    "unreadable_event": Reason(
        "O evento da ponte não pôde ser lido.", "the bridge's event could not be read"
    ),
    "oversized_event": Reason(
        "O evento da ponte é grande demais.", "the bridge's event is too large"
    ),
    # A file of a message
    "bridge_down": Reason("A ponte do WhatsApp não está no ar.", "the bridge is not running"),
    "not_connected": Reason("A conexão não está conectada.", "the connection is not connected"),
    "file_missing": Reason("O arquivo não está mais aqui.", "the file is no longer here"),
    "row_missing": Reason(
        "A mensagem ainda não está na tabela.", "the message is not in the table yet"
    ),
    "expired": Reason("A conexão não voltou a tempo.", "the connection did not return in time"),
    "disk_full": Reason("O disco está cheio.", "the disk is full"),
    "disk_error": Reason("O disco tem um erro.", "the disk has an error"),
    "storage": Reason("O disco tem um erro.", "the disk has an error"),
    "storage_refused": Reason(
        "O Supabase Storage recusou o arquivo.", "Supabase Storage refused the file"
    ),
    "supabase_unavailable": Reason("O Supabase não responde.", "Supabase does not answer"),
    "media_corrupt": Reason(
        "O arquivo não é o que a mensagem anuncia.", "the file is not what its message names"
    ),
    "media_gone": Reason(
        "O celular não tem mais o arquivo.", "the phone does not have the file any more"
    ),
    "media_host": Reason(
        "O servidor de arquivos do WhatsApp não o entregou.", "WhatsApp's host did not deliver it"
    ),
    "media_interrupted": Reason("A transferência foi interrompida.", "it was interrupted"),
    "media_timeout": Reason("A transferência demorou demais.", "it took too long"),
    "media_too_large": Reason("O arquivo é grande demais.", "the file is too large"),
    "media_unusable": Reason(
        "A mensagem não diz onde está o arquivo.", "the message does not say where the file is"
    ),
    "reupload_timeout": Reason("O celular não respondeu.", "the phone did not answer"),
    "upload_failed": Reason("O WhatsApp não recebeu o arquivo.", "WhatsApp did not take the file"),
    # How a part of the program ended
    "hung": Reason("Não deu sinal de vida a tempo.", "no sign of life in time"),
    "not_ready": Reason("Não ficou pronto a tempo.", "not ready in time"),
    "SubprocessError": Reason("O processo terminou por si.", "the process ended by itself"),
    "LinkLost": Reason(
        "A ligação com a ponte do WhatsApp caiu.", "the link to the bridge was lost"
    ),
    "BridgeHung": Reason(
        "A ponte do WhatsApp não responde.", "the bridge of WhatsApp does not answer"
    ),
    "EscalationError": Reason(
        "Uma parte dentro dela falhou vezes demais.", "a part within it failed too often"
    ),
    "JournalUnavailable": Reason(
        "A fila durável não está disponível.", "the journal is not available"
    ),
    "MigrationError": Reason(
        "As migrações do banco de dados local falharam.", "the local migrations failed"
    ),
}
_BUSY_OR_BROKEN = Reason("O Supabase tem um problema.", "Supabase has a problem")
_NOT_SUPABASE = Reason("O Supabase recusa o pedido.", "Supabase refuses the request")
_UNKNOWN = Reason("Houve um erro; o log diz qual.", "an error; the log says which")


def about(code: str) -> Reason:
    """What ``code`` means; nothing of the code itself, which may be foreign, too."""
    if code in _REASONS:
        return _REASONS[code]
    if len(code) == 3 and code.isdecimal():
        return _BUSY_OR_BROKEN if code >= "500" else _NOT_SUPABASE
    if len(code) >= 5 and code == code.upper():  # of a class, as databases have them
        for length in range(len(code), 1, -1):
            if code[:length] in _REASONS:
                return _REASONS[code[:length]]
    return _UNKNOWN
