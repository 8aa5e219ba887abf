"""The stable codes of failures: each with its status, and a sentence that tells what it means.

What a client is told at run time is chosen where the failure arises, and may say more. A test
compares this table with every place where a failure is raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.refusals import all_refusals

from .errors import status_of
from .schemas import UUID_EXAMPLE


@dataclass(frozen=True, slots=True)
class Code:
    """What goes with a code; ``details`` are those of the example."""

    status: int
    sentence: str
    details: Any = None


def _bad_field(field: str, message: str) -> list[dict[str, str]]:
    return [{"field": field, "code": "validation_error", "message": message}]


CODES: dict[str, Code] = {
    # What can be wrong with a request
    "validation_error": Code(
        400,
        "Dados inválidos: ownerId é obrigatório.",
        _bad_field("ownerId", "ownerId é obrigatório"),
    ),
    "unsupported_field": Code(
        400,
        "Dados inválidos: mediaURL não é um campo desta chamada (quis dizer mediaUrl?).",
        [
            {
                "field": "mediaURL",
                "code": "unsupported_field",
                "message": "mediaURL não é um campo desta chamada (quis dizer mediaUrl?)",
            }
        ],
    ),
    "invalid_request": Code(400, "A requisição não pôde ser lida."),
    "invalid_text": Code(400, "O texto contém caracteres que não podem ser guardados."),
    "malformed_json": Code(400, "O corpo não é JSON válido em UTF-8."),
    "invalid_connection_id": Code(
        400, "O connectionId deve ter de 1 a 64 letras sem acento, números, hífens ou sublinhados."
    ),
    "invalid_phone": Code(400, "O número de telefone não existe."),
    "ambiguous_number": Code(
        400,
        "O número pode ser de dois países: +51987654321 (PE) ou +5551987654321 (BR). Envie-o com + "
        "e o código do país.",
        {
            "readings": [
                {"number": "+51987654321", "country": "PE"},
                {"number": "+5551987654321", "country": "BR"},
            ]
        },
    ),
    "conflicting_headers": Code(400, "Content-Length e Transfer-Encoding não podem vir juntos."),
    "body_too_complex": Code(
        413, "O corpo da requisição tem valores demais.", {"maxValues": 20_000}
    ),
    "quota_connections": Code(409, "Este dono já tem 5 conexões; o máximo é 5.", {"max": 5}),
    "quota_calls": Code(
        429, "Há chamadas demais desta credencial ou deste dono; espere uma terminar."
    ),
    "quota_sends": Code(
        429, "Há envios demais desta credencial ou deste dono; espere um terminar."
    ),
    "quota_streams": Code(429, "Há transmissões de eventos demais desta credencial ou deste dono."),
    "quota_webhooks": Code(409, "Este dono já tem 20 webhooks, o máximo.", {"max": 20}),
    "quota_checks": Code(429, "Um dono pode conferir 120 números por minuto."),
    "invalid_recipient": Code(400, "O destinatário não é um JID de usuário válido."),
    "invalid_idempotency_key": Code(
        400, "A Idempotency-Key deve ter de 1 a 255 caracteres ASCII imprimíveis."
    ),
    "invalid_event_id": Code(400, "O id de um evento tem 32 dígitos hexadecimais."),
    "invalid_cursor": Code(400, "O cursor não é válido."),
    "nothing_to_change": Code(400, "Informe ao menos um campo para mudar."),
    "unknown_owner": Code(400, "O ownerId não é de um usuário deste projeto."),
    "unknown_atendente": Code(400, "O atendenteId não é de um atendente deste projeto."),
    "refused_by_supabase": Code(400, "O Supabase recusou os dados enviados."),
    "invalid_key_scope": Code(
        400, "Uma chave admin não tem ownerId nem connectionId; owner exige ownerId."
    ),
    "invalid_key_expiry": Code(400, "A validade da chave já passou."),
    "invalid_webhook_url": Code(
        400, "A url deve ser um endereço http ou https, sem usuário e senha."
    ),
    "invalid_options": Code(400, "As opções da conexão têm valores inválidos."),
    "proxy_not_allowed": Code(400, "O proxy não leva a um endereço público da internet."),
    "fixed_fields": Code(400, "Não é possível mudar: kind."),
    # … with a message
    "empty_content": Code(400, "O conteúdo da mensagem está vazio."),
    "content_too_long": Code(400, "O conteúdo passa de 65536 caracteres."),
    "missing_location": Code(400, "Dados inválidos: location é obrigatório."),
    "missing_contacts": Code(400, "Dados inválidos: contacts é obrigatório."),
    "missing_poll": Code(400, "Dados inválidos: poll é obrigatório."),
    "invalid_contacts": Code(400, "Informe de 1 a 20 contatos."),
    "invalid_poll": Code(400, "Uma enquete tem de 2 a 12 opções diferentes."),
    "invalid_link_preview": Code(400, "A url de linkPreview não está no texto."),
    # … with a file
    "missing_media_url": Code(400, "Dados inválidos: mediaUrl é obrigatório."),
    "invalid_media_url": Code(
        400, "A mediaUrl deve ser um endereço http ou https, sem usuário e senha."
    ),
    "media_url_not_allowed": Code(400, "A mediaUrl não leva a um endereço público da internet."),
    "invalid_data_url": Code(400, "A mediaUrl não é uma data URL válida em base64."),
    "caption_not_possible": Code(
        400, "Áudios e figurinhas não têm legenda; envie o texto em outra mensagem."
    ),
    "missing_file": Code(400, "Falta o arquivo, no campo file."),
    "empty_file": Code(400, "O arquivo está vazio."),
    "malformed_form": Code(400, "O formulário não pôde ser lido."),
    "storage_refused": Code(400, "O Supabase Storage recusou o arquivo."),
    # Who asks
    "missing_credential": Code(
        401, "Informe a chave de API no cabeçalho Authorization: Bearer … ou X-Api-Key."
    ),
    "invalid_credential": Code(401, "A credencial informada não é válida."),
    "expired_credential": Code(401, "A credencial informada expirou."),
    "forbidden": Code(403, "Esta credencial não dá acesso a esta chamada."),
    "forbidden_owner": Code(403, "Esta credencial não dá acesso a outro ownerId."),
    "missing_permission": Code(
        403, "Esta credencial não tem a permissão send.", {"permission": "send"}
    ),
    # What is not there, or not the caller's
    "route_not_found": Code(404, "Este endereço não existe na API."),
    "not_found": Code(404, "Este arquivo não existe."),
    "connection_not_found": Code(404, "Conexão não encontrada."),
    "no_archive": Code(404, "Não há credenciais arquivadas desta conexão para restaurar."),
    "qr_not_available": Code(404, "Não há QR code agora; tente de novo em alguns segundos."),
    "atendimento_not_found": Code(404, "Atendimento não encontrado."),
    "message_not_found": Code(404, "Mensagem não encontrada."),
    "media_not_found": Code(404, "Esta mensagem não tem arquivo."),
    "robot_not_found": Code(404, "Robô não encontrado."),
    "webhook_not_found": Code(404, "Webhook não encontrado."),
    "delivery_not_found": Code(404, "Entrega não encontrada."),
    "dead_letter_not_found": Code(404, "Não há mensagem rejeitada com esse número."),
    "key_not_found": Code(404, "Não existe chave com este id."),
    "child_not_found": Code(404, "Não há esse filho na árvore."),
    "method_not_allowed": Code(405, "Este endereço não aceita este método."),
    "request_timeout": Code(408, "O corpo da requisição demorou demais para chegar."),
    # What the present state does not allow
    "connection_exists": Code(409, "Já existe uma conexão com este connectionId."),
    "too_many_connections": Code(409, "Esta instalação já tem o máximo de conexões."),
    "archive_unusable": Code(409, "O arquivo de credenciais não pode ser lido; escolha outro."),
    "connection_parked": Code(
        409,
        "A conexão está parada. O WhatsApp baniu este número. Reinicie-a com POST …/restart.",
        {"statusCode": "banned", "statusReason": "O WhatsApp baniu este número."},
    ),
    "qr_expired": Code(
        409,
        "Ninguém leu o QR code a tempo. Para gerar outro, reinicie a conexão com POST …/restart.",
    ),
    "already_connected": Code(409, "Esta conexão já está conectada."),
    "idempotency_conflict": Code(
        409, "Essa chave de idempotência já foi usada para outra mensagem."
    ),
    "message_exists": Code(409, "Já existe uma mensagem com esse id."),
    "not_a_whatsapp_message": Code(409, "Esta mensagem não passou pelo WhatsApp."),
    "not_editable": Code(409, "Só é possível editar textos."),
    "not_own_message": Code(409, "Só é possível alterar mensagens enviadas."),
    "media_pending": Code(409, "O arquivo ainda não chegou; tente de novo em instantes."),
    "media_failed": Code(
        409, "O arquivo não pôde ser obtido; tente de novo com POST …/media/retry."
    ),
    "media_not_failed": Code(
        409, "Só se pode tentar de novo com um arquivo que falhou há menos de 14 dias."
    ),
    "unreadable_row": Code(
        409,
        "A linha tem valores que não podem ser usados e foi deixada como está.",
        {"columns": ["numero_cliente"]},
    ),
    "illegal_transition": Code(409, "Um atendimento FINALIZADO não volta a EM_ATENDIMENTO."),
    "concurrent_change": Code(
        409, "O atendimento foi alterado por outra pessoa ao mesmo tempo; tente de novo."
    ),
    "robot_exists": Code(
        409, "Já existe um robô para este dono e esta empresa; altere o que existe."
    ),
    "too_many_webhooks": Code(409, "Esta instalação já tem o máximo de webhooks."),
    "delivery_pending": Code(409, "Esta entrega ainda está na fila."),
    "too_many_keys": Code(409, "Já existem 1000 chaves; revogue as que não servem mais."),
    "key_from_environment": Code(
        409, "Esta chave vem de ZAPVISOR_API_KEY; mude a variável e reinicie."
    ),
    "not_parked": Code(409, "Este filho não está parado."),
    # What is too much, or of the wrong kind
    "body_too_large": Code(
        413, "O corpo da requisição pode ter no máximo 1024 KiB.", {"maxBytes": 1_048_576}
    ),
    "answer_too_large": Code(
        413,
        "O Supabase tem mais a responder do que cabe em uma resposta; peça menos linhas.",
        {"maxBytes": 16_777_216},
    ),
    "form_too_large": Code(413, "Os campos do formulário são grandes demais."),
    "media_too_large": Code(413, "O arquivo é grande demais."),
    "url_too_long": Code(414, "O endereço da requisição é longo demais."),
    "unsupported_media_type": Code(
        415, "O corpo deve ser JSON em UTF-8, com o cabeçalho Content-Type: application/json."
    ),
    "media_type_mismatch": Code(
        415, "O conteúdo do arquivo não é do tipo informado; envie-o como document."
    ),
    "voice_needs_opus": Code(
        415, "Uma mensagem de voz (ptt) precisa ser um arquivo OGG com codec Opus."
    ),
    "range_not_satisfiable": Code(416, "O arquivo não tem a parte pedida."),
    "rate_limited": Code(
        429, "Esta credencial pode fazer 600 chamadas por minuto.", {"ratePerMinute": 600}
    ),
    "headers_too_large": Code(431, "Os cabeçalhos são grandes demais."),
    # What WhatsApp does not deliver
    **{
        one.code: Code(
            status_of(one.kind),
            one.sentence,
            {"messageId": "3EB0C431C26A1916E07A", "id": UUID_EXAMPLE},
        )
        for one in all_refusals()
    },
    "unsupported_type": Code(422, "Este tipo de mensagem não é suportado."),
    "already_paired": Code(422, "O WhatsApp recusou o pedido."),
    "media_url_timeout": Code(
        422, "Não foi possível obter o arquivo da mediaUrl: o servidor demorou demais."
    ),
    "media_url_unreachable": Code(
        422, "Não foi possível obter o arquivo da mediaUrl: o servidor não respondeu."
    ),
    "media_url_failed": Code(
        422, "Não foi possível obter o arquivo da mediaUrl: o servidor respondeu 404."
    ),
    # What is down, for now or by a defect
    "internal_error": Code(500, "Ocorreu um erro interno; ele foi registrado e será investigado."),
    "auth_unavailable": Code(
        503, "O Supabase Auth não responde, e sem as chaves dele não é possível conferir o token."
    ),
    "overloaded": Code(503, "Há requisições demais ao mesmo tempo; tente de novo em instantes."),
    "too_many_streams": Code(503, "Há transmissões de eventos demais abertas ao mesmo tempo."),
    "runtime_stopped": Code(
        503, "O serviço está parado. Inicie-o com POST /api/whatsapp-bootstrap/initialize."
    ),
    "starting": Code(503, "O serviço está iniciando."),
    "start_failed": Code(503, "A partida falhou; a supervisão tenta de novo."),
    "not_alive": Code(503, "O sistema não está vivo."),
    "not_ready": Code(503, "A conexão está iniciando."),
    "timeout": Code(503, "O WhatsApp não respondeu."),
    "query_failed": Code(503, "O WhatsApp não respondeu."),
    "interrupted": Code(503, "O WhatsApp não respondeu."),
    "not_connected": Code(503, "A conexão não está conectada ao WhatsApp."),
    "journal_unavailable": Code(503, "A fila durável não está aceitando mensagens no momento."),
    "journal_stopped": Code(503, "A fila durável não está em execução."),
    "journal_disk_full": Code(503, "A fila durável não está aceitando mensagens no momento."),
    "journal_io_error": Code(503, "A fila durável não está aceitando mensagens no momento."),
    "journal_corrupt": Code(503, "A fila durável não está aceitando mensagens no momento."),
    "disk_full": Code(503, "Não há espaço em disco para o arquivo."),
    "supabase_unavailable": Code(503, "O Supabase não está disponível no momento."),
    "supabase_round_trip_failed": Code(503, "O Supabase não devolveu o que foi gravado."),
    "api_keys_busy": Code(503, "O arquivo de chaves está em uso."),
    "deadline_exceeded": Code(
        504,
        "A operação demorou demais e pode ou não ter sido concluída; ao repetir um envio, use a "
        "mesma Idempotency-Key.",
    ),
}
