"""The dashboard as an operator uses it."""

import base64
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from http_api import qr as rendering
from tests.e2e.conftest import fresh_number
from tests.e2e.harness import API_KEY, Shop, until

from .conftest import WAIT_MS, sign_in

expect.set_options(timeout=WAIT_MS)
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
VIEWS = ("Visão geral", "Conversas", "Supervisão", "Rejeitadas")


def go(page, view):
    page.get_by_role("navigation").get_by_role("link", name=view).click()
    expect(page.get_by_role("heading", level=1, name=view)).to_be_attached()


def connection(page, name):
    return page.locator(f"[data-connection='{name}']")


def serious(page):
    """What axe-core finds that keeps people out."""
    # Evaluated by the debugger, not loaded by the page: its policy allows no foreign script.
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_a_wrong_key_is_refused_and_a_right_one_stays_in_the_tab_only(tab, shared_product):
    page = tab(signed_in=False)
    page.get_by_label("Chave de API").fill("zv_wrong")
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("alert")).to_have_text("Esta chave não é válida.")
    sign_in(page)
    page.reload()
    expect(page.get_by_role("navigation")).to_be_visible()
    assert API_KEY not in page.url
    assert API_KEY not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
    other = page.context.new_page()
    other.goto("/")
    expect(other.get_by_label("Chave de API")).to_be_visible()
    page.get_by_role("button", name="Sair").click()
    expect(page.get_by_label("Chave de API")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_number_is_created_and_paired_by_its_live_qr_code(tab, shared_product, simulator):
    number = fresh_number()
    simulator.post("/phones", number=number, name="Loja")
    owner = shared_product.owner()
    page = tab()
    page.get_by_role("button", name="Nova conexão").click()
    page.get_by_label("Nome").fill("Loja São João")
    expect(page.get_by_label("Identificador")).to_have_value("loja-sao-joao")
    page.get_by_label("Dono").fill(str(owner))
    page.get_by_role("button", name="Criar e parear").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_alt_text("QR code para parear")).to_be_visible()
    qr = shared_product.data("GET", "/api/whatsapp-integration/connections/loja-sao-joao/qr")
    simulator.post(f"/phones/{number}/scan", qr=qr["qrCode"])
    expect(dialog).to_contain_text("Conectado!")
    dialog.get_by_role("button", name="Fechar").click()
    expect(connection(page, "loja-sao-joao")).to_contain_text("Conectada")
    expect(connection(page, "loja-sao-joao")).to_contain_text(number[-4:])


def test_a_number_is_paired_by_a_code_typed_into_the_phone(tab, shared_product, simulator):
    shop = Shop(shared_product, simulator, "painel-codigo", fresh_number())
    page = tab()
    connection(page, shop.name).get_by_role("button", name="Parear").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Código").click()
    dialog.get_by_label("Número do celular").fill("12")
    dialog.get_by_role("button", name="Gerar código").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Número do celular").fill(f"+{shop.number}")
    dialog.get_by_role("button", name="Gerar código").click()
    code = dialog.get_by_role("status")
    expect(code).to_have_text(re.compile(r"^\w{4}-\w{4}$"))
    simulator.post(f"/phones/{shop.number}/pair", code=code.inner_text().replace("-", ""))
    expect(dialog).to_contain_text("Conectado!")


def test_an_owner_s_key_shows_the_owner_s_things_alone_until_it_is_revoked(
    tab, shared_product, open_shop
):
    mine = open_shop(shared_product, "painel-minha")
    open_shop(shared_product, "painel-alheia")
    keys = "/api/whatsapp-bootstrap/keys"
    made = shared_product.data(
        "POST", keys, json={"name": "painel", "role": "owner", "ownerId": str(mine.owner)}
    )
    page = tab(signed_in=False)
    sign_in(page, made["key"])
    expect(connection(page, "painel-minha")).to_contain_text("Conectada")
    expect(connection(page, "painel-alheia")).to_have_count(0)
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_count(2)
    shared_product.data("DELETE", f"{keys}/{made['id']}")
    expect(page.get_by_role("alert")).to_have_text("A chave deixou de ser aceita. Entre de novo.")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_message_appears_live_and_the_answer_reaches_the_customer(
    tab, shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "painel-conversa")
    maria = customer("Maria do Painel")
    page = tab()
    go(page, "Conversas")
    simulator.post(f"/contacts/{maria}/send", to=shop.number, text="Vocês abrem hoje?")
    page.get_by_role("button", name="Maria do Painel").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("Vocês abrem hoje?")
    simulator.post(f"/contacts/{maria}/send", to=shop.number, text="<b>E amanhã?</b>")
    expect(log).to_contain_text("<b>E amanhã?</b>")
    answer = page.get_by_label("Escreva uma resposta")
    answer.fill("Abrimos sim, até as 18h!")
    answer.press("Enter")
    expect(log).to_contain_text("Abrimos sim, até as 18h!")
    expect(answer).to_have_value("")
    until(
        lambda: (
            [m["text"] for m in simulator.get(f"/contacts/{maria}/inbox")]
            == ["Abrimos sim, até as 18h!"]
        ),
        what="the answer on the customer's phone",
    )
    go(page, "Visão geral")
    expect(page.get_by_role("list", name="Acontecimentos")).to_contain_text("recebeu uma mensagem")
    expect(page.get_by_role("img", name="Mensagens por minuto")).to_be_visible()


def test_a_picture_is_shown_and_a_document_can_be_saved(
    tab, shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "painel-midia")
    ines = customer("Inês")
    picture = base64.b64encode(rendering.png("uma imagem")).decode()
    for media in (
        {"kind": "image", "mimetype": "image/png", "base64": picture},
        {
            "kind": "document",
            "mimetype": "application/pdf",
            "fileName": "orçamento.pdf",
            "size": 999,
        },
    ):
        simulator.post(f"/contacts/{ines}/send", to=shop.number, media=media)
    page = tab()
    go(page, "Conversas")
    page.get_by_role("button", name="Inês").click()
    shown = page.get_by_role("log").get_by_role("img")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    page.get_by_role("button", name="Mostrar orçamento.pdf").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Salvar orçamento.pdf").click()
    assert download.value.suggested_filename == "orçamento.pdf"


def test_a_parked_connection_is_seen_with_its_reason_and_goes_on_when_unparked(
    tab, shared_product, simulator, open_shop
):
    shop = open_shop(shared_product, "painel-parada")
    page = tab()
    expect(connection(page, shop.name)).to_contain_text("Conectada")
    simulator.post(f"/phones/{shop.number}/logout")
    expect(connection(page, shop.name)).to_contain_text("QR")
    expect(page.get_by_role("status").first).to_have_text("Precisa de atenção")
    go(page, "Supervisão")
    node = page.locator(f"[data-path$='/connections/{shop.name}']")
    expect(node).to_contain_text("parada")
    node.get_by_role("button", name="Liberar").click()
    expect(node).to_contain_text("em execução")
    shop.pair()
    go(page, "Visão geral")
    expect(connection(page, shop.name)).to_contain_text("Conectada")


def test_what_supabase_refused_is_shown_and_retried(
    tab, shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "painel-rejeita")
    joao = customer("João")
    page = tab()
    go(page, "Rejeitadas")
    expect(page.get_by_text("Nenhuma mensagem rejeitada.")).to_be_visible()
    refuse = (
        "alter table whatsapp_mensagens add constraint painel_recusa"
        " check (conteudo <> 'recuse isto') not valid"
    )
    execute(shared_product, refuse)
    try:
        simulator.post(f"/contacts/{joao}/send", to=shop.number, text="recuse isto")
        letter = page.locator("[data-seq]")
        expect(letter).to_contain_text("painel_recusa")
        expect(page.get_by_role("link", name="Rejeitadas")).to_contain_text("1")
        letter.get_by_text("Ver a mensagem").click()
        expect(letter).to_contain_text("recuse isto")
    finally:
        execute(shared_product, "alter table whatsapp_mensagens drop constraint painel_recusa")
    letter.get_by_role("button", name="Tentar de novo").click()
    expect(page.get_by_text("Nenhuma mensagem rejeitada.")).to_be_visible()
    until(lambda: shop.texts(joao) == ["recuse isto"], what="the message is stored after all")


def execute(product, sql):
    import psycopg

    with psycopg.connect(product.stack.dsn, autocommit=True) as database:
        database.execute(sql)


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible_and_fits(
    tab, shared_product, simulator, open_shop, customer, tmp_path, device, scheme
):
    name = f"painel-{scheme}-{'phone' if device else 'desk'}"
    shop = open_shop(shared_product, name)
    ana = customer(f"Ana {name}")
    simulator.post(
        f"/contacts/{ana}/send", to=shop.number, texts=["Bom dia!", "Quanto custa o frete?"]
    )
    page = tab(color_scheme=scheme, signed_in=False, **device)
    assert serious(page) == []
    page.screenshot(path=tmp_path / "sign-in.png")
    sign_in(page)
    for view in VIEWS:
        go(page, view)
        if view == "Conversas":
            page.get_by_role("button", name=f"Ana {name}").click()
            expect(page.get_by_role("log")).to_contain_text("frete")
        elif view == "Visão geral":
            expect(connection(page, name)).to_contain_text("Conectada")
        elif view == "Supervisão":
            expect(page.locator("[data-path$='/journal']")).to_contain_text("em execução")
        page.screenshot(path=tmp_path / f"{view}.png")
        assert serious(page) == [], view
        wider = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wider, f"{view} scrolls sideways"
    page.get_by_label("Idioma").select_option("en")
    expect(page.get_by_role("link", name="Supervision")).to_be_visible()
    other = "dark" if scheme == "light" else "light"
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_label("Theme").select_option(other)
    assert page.evaluate(ground) != before


def test_everything_can_be_reached_by_keyboard(tab, shared_product):
    page = tab()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Ir para o conteúdo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.get_by_role("button", name="Nova conexão").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Nova conexão")).to_be_focused()


def test_the_files_have_a_strict_policy_and_nothing_else_can_be_asked_for(shared_product):
    answer = shared_product.call("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    again = shared_product.call("GET", "/", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    for path in ("/dashboard/../keys.py", "/dashboard/%2e%2e%2fkeys.py", "/dashboard/none.js"):
        refused = shared_product.call("GET", path)
        assert refused.status_code == 404, path
        assert json.loads(refused.text)["success"] is False
