"""The robot on real parts: what customers are shown, once, whatever dies, and when it is silent."""

from __future__ import annotations

import itertools
import signal
import time

import pytest

from .harness import until

API = "/api/whatsapp-integration"
WELCOME = "Olá! Bem-vindo à Loja do Zé."
MENU = "Escolha uma opção:\n1 - Vendas\n2 - Suporte técnico"
GOODBYE = "Obrigado pelo contato. Até a próxima!"
INVALID = "Opção inválida"
CHOSEN = "Você escolheu"
HANDOVER = "Vamos encaminhar você"
REMINDER = "Nossos atendentes ainda estão ocupados"


@pytest.fixture
def employ(open_shop):
    """A paired shop with a robot."""

    def employ_(product, name, **settings):
        shop = open_shop(product, name)
        shop.robot = product.data(
            "POST",
            f"{API}/robot",
            json={
                "ownerId": str(shop.owner),
                "nome": "Robô",
                "mensagemBoasVindas": WELCOME,
                "mensagemMenu": MENU,
                "mensagemDespedida": GOODBYE,
                **settings,
            },
        )
        return shop

    return employ_


@pytest.fixture
def talk(simulator):
    """A customer of a shop."""

    class Talk:
        def __init__(self, shop, number):
            self.shop, self.number, self.product = shop, number, shop.product

        def write(self, text, **more):
            simulator.post(f"/contacts/{self.number}/send", to=self.shop.number, text=text, **more)

        def shown(self):
            return [one["text"] for one in simulator.get(f"/contacts/{self.number}/inbox")]

        def sees(self, *beginnings, seconds=20):
            """Wait until the phone shows exactly messages that begin so."""
            until(lambda: len(self.shown()) >= len(beginnings), seconds=seconds, what=beginnings)
            shown = self.shown()
            assert [s[: len(b)] for s, b in zip(shown, beginnings, strict=True)] == [*beginnings]

        def is_shown(self, beginning):
            return any(text.startswith(beginning) for text in self.shown())

        def atendimento(self):
            """The newest one."""
            rows = self.product.data(
                "GET",
                f"{API}/atendimentos",
                params={"ownerId": str(self.shop.owner), "numero": self.number},
            )["items"]
            return rows[0] if rows else None

        def change(self, **body):
            path = f"{API}/atendimentos/{self.atendimento()['id']}"
            return self.product.data("PATCH", path, json=body)

        def said(self):
            """(text, status) of the robot's rows."""
            return self.product.query(
                "select m.conteudo, m.status from whatsapp_mensagens m"
                " join whatsapp_atendimentos a on a.id = m.atendimento_id"
                " where a.owner_id = %s and a.numero_cliente = %s and m.remetente = 'SISTEMA'"
                " order by m.timestamp, m.ordem",
                self.shop.owner,
                self.number,
            )

        def insist(self, beginning):
            """Write nonsense, each time another, until the robot says something that begins so."""
            for number in itertools.count():
                self.write(f"hmm, não sei {number}")
                for _ in range(10):
                    if self.is_shown(beginning):
                        return
                    time.sleep(0.1)
                assert number < 30, self.shown()

        def proves_silence(self, *, seconds=20):
            """What was to be answered before a fresh customer is, was not to be answered."""
            other = Talk(self.shop, f"{int(self.number) + 5_000_000}")
            simulator.post("/contacts", number=other.number, name="Outra")
            other.write("oi")
            until(lambda: other.is_shown(WELCOME), seconds=seconds, what="another's welcome")

    return Talk


def test_welcome_menu_choice_and_goodbye(shared_product, employ, talk, customer):
    maria = talk(employ(shared_product, "robo-menu"), customer())
    maria.write("oi")
    maria.sees(WELCOME, MENU)
    maria.write("Opção 2️⃣!")
    maria.sees(WELCOME, MENU, f"{CHOSEN}: Suporte técnico")
    row = until(lambda: (one := maria.atendimento())["tags"] and one, what="the tag")
    assert (row["status"], row["tags"]) == ("AGUARDANDO", ["Suporte técnico"])
    maria.write("a impressora não liga")  # for the attendant: nothing to say
    until(lambda: len(maria.shop.texts(maria.number)) == 3, what="the message")
    maria.change(status="EM_ATENDIMENTO")
    maria.change(status="FINALIZADO")
    maria.sees(WELCOME, MENU, CHOSEN, GOODBYE)
    until(
        lambda: [text.partition(":")[0] for text, _ in maria.said()][-1] == GOODBYE,
        what="the goodbye's row",
    )
    until(lambda: {s for _, s in maria.said()} <= {"delivered", "read"}, what="delivered")
    # The goodbye belongs to what it ended, and opened nothing.
    assert maria.atendimento()["status"] == "FINALIZADO"
    [(count,)] = shared_product.query(
        "select count(*) from whatsapp_atendimentos where owner_id = %s", maria.shop.owner
    )
    assert count == 1
    maria.write("oi de novo")
    maria.sees(WELCOME, MENU, CHOSEN, GOODBYE, WELCOME, MENU)


def test_wrong_answers_lead_to_an_attendant(shared_product, employ, talk, customer):
    joao = talk(employ(shared_product, "robo-errado", maxTentativas=2), customer())
    joao.write("oi")
    joao.sees(WELCOME, MENU)
    joao.insist(INVALID)
    joao.insist(HANDOVER)
    joao.sees(WELCOME, MENU, f"{INVALID}. Responda", HANDOVER)
    joao.write("1")  # too late: an attendant reads it
    joao.proves_silence()
    joao.sees(WELCOME, MENU, INVALID, HANDOVER)


@pytest.mark.parametrize("by", ["api", "phone", "status"])
def test_an_attendant_stops_it(shared_product, simulator, employ, talk, customer, by):
    ana = talk(employ(shared_product, f"robo-para-{by}"), customer())
    ana.write("oi")
    ana.sees(WELCOME, MENU)
    expected = [WELCOME, MENU]
    if by == "api":
        shared_product.send(ana.shop.name, ana.number, "Oi Ana, sou a Joana.")
    elif by == "phone":
        simulator.post(f"/phones/{ana.shop.number}/send", to=ana.number, text="Oi Ana, do celular")
    else:
        ana.change(status="EM_ATENDIMENTO")
    if by != "status":
        expected.append("Oi Ana")
        until(lambda: ana.shop.texts(ana.number, "ATENDENTE"), what="the attendant's row")
    ana.write("1")
    ana.write("olá?")
    ana.proves_silence()
    ana.sees(*expected)
    ana.change(status="FINALIZADO")
    ana.sees(*expected, GOODBYE)


def test_without_an_answer_it_hands_over_and_reminds(shared_product, employ, talk, customer):
    rui = talk(employ(shared_product, "robo-tempo", tempoResposta=2), customer())
    rui.write("oi")
    rui.sees(WELCOME, MENU, HANDOVER, REMINDER)
    rui.proves_silence()
    rui.sees(WELCOME, MENU, HANDOVER, REMINDER)


def test_it_is_configured_in_supabase_too(shared_product, employ, talk, customer):
    shop = employ(shared_product, "robo-direto", ativo=False)
    quiet = talk(shop, customer())
    quiet.write("oi")
    until(lambda: shop.texts(quiet.number), what="the message")
    shared_product.query(
        "update whatsapp_configuracoes set ativo = true, mensagem_boas_vindas = 'Oba!'"
        " where owner_id = %s returning id",
        shop.owner,
    )

    def welcomed():
        other = talk(shop, customer())
        other.write("oi")
        for _ in range(10):
            if other.shown():
                return other
            time.sleep(0.1)
        return None

    until(welcomed, seconds=60, what="the robot knows of the change").sees("Oba!", MENU)
    quiet.write("alguém?")  # began when there was no robot
    quiet.product.data("PATCH", f"{API}/robot/{shop.robot['id']}", json={"ativo": False})
    off = talk(shop, customer())
    off.write("oi")
    until(lambda: shop.texts(off.number), what="the message")
    shared_product.data("PATCH", f"{API}/robot/{shop.robot['id']}", json={"ativo": True})
    until(lambda: welcomed(), seconds=30, what="the robot is back")
    assert (quiet.shown(), off.shown()) == ([], [])


def test_there_is_one_robot_for_an_owner_and_company(shared_product):
    owner = str(shared_product.owner())
    body = {
        "ownerId": owner,
        "nome": "Robô",
        "mensagemBoasVindas": "Oi",
        "mensagemMenu": "",
        "mensagemDespedida": "",
    }
    made = shared_product.data("POST", f"{API}/robot", json=body)
    assert (made["tempo_resposta"], made["max_tentativas"], made["ativo"]) == (300, 3, True)
    again = shared_product.call("POST", f"{API}/robot", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "robot_exists")
    company = "7d2f6a39-9c3d-4f0e-8a34-6c9b1d5a0f11"
    other = shared_product.data("POST", f"{API}/robot", json={**body, "companyId": company})
    again = shared_product.call("POST", f"{API}/robot", json={**body, "companyId": company})
    assert (again.status_code, again.json()["code"]) == (409, "robot_exists")
    params = {"ownerId": owner}
    listed = shared_product.data("GET", f"{API}/robot", params=params)
    assert [row["id"] for row in listed] == [made["id"], other["id"]]
    path = f"{API}/robot/{made['id']}"
    assert shared_product.data("PATCH", path, json={"nome": "Rosie"})["nome"] == "Rosie"
    stranger = {"ownerId": str(shared_product.owner())}
    for method, options in (("GET", {}), ("PATCH", {"json": {"nome": "X"}}), ("DELETE", {})):
        refused = shared_product.call(method, path, params=stranger, **options)
        assert (refused.status_code, refused.json()["code"]) == (404, "robot_not_found")
    shared_product.data("DELETE", path)
    listed = shared_product.data("GET", f"{API}/robot", params=params)
    assert [row["id"] for row in listed] == [other["id"]]
    unknown = {**body, "ownerId": "00000000-0000-4000-8000-000000000000"}
    refused = shared_product.call("POST", f"{API}/robot", json=unknown)
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_owner")


def test_two_robots_that_face_each_other_stop(shared_product, simulator, employ, talk):
    settings = {"maxTentativas": 20, "tempoResposta": 2}
    one = employ(shared_product, "robo-um", **settings)
    two = employ(
        shared_product,
        "robo-dois",
        mensagemBoasVindas="Bom dia, aqui é da padaria.",
        mensagemMenu="Opções:\n1) Pães\n2) Bolos",
        mensagemDespedida="Volte sempre!",
        **settings,
    )

    def said(shop):
        [(count,)] = shared_product.query(
            "select count(*) from whatsapp_mensagens where owner_id = %s and remetente = 'SISTEMA'",
            shop.owner,
        )
        return count

    # Its owner writes from the phone and ends the atendimento: its goodbye begins the exchange.
    simulator.post(f"/phones/{one.number}/send", to=two.number, text="Olá, vizinho")
    until(lambda: said(two) >= 2, what="the other's welcome")
    welcomed = time.monotonic()
    place = until(
        lambda: shared_product.data(
            "GET", f"{API}/atendimentos", params={"ownerId": str(one.owner)}
        )["items"],
        what="the atendimento",
    )[0]
    until(lambda: time.monotonic() - welcomed > 3, what="no longer in one breath")
    shared_product.data("PATCH", f"{API}/atendimentos/{place['id']}", json={"status": "FINALIZADO"})
    until(lambda: said(one) >= 1, what="the goodbye")
    # Each is a customer to the other, and answers; until one knows the other for what it is.
    until(lambda: said(two) >= 3, what="an answer to the goodbye")
    counts, quiet_since = (0, 0), time.monotonic()
    deadline = time.monotonic() + 60
    while time.monotonic() - quiet_since < 6:  # three times what they wait for each other
        assert time.monotonic() < deadline, counts
        if (now := (said(one), said(two))) != counts:
            quiet_since, counts = time.monotonic(), now
        time.sleep(0.1)
    assert max(counts) <= 6, counts


def test_old_messages_are_not_answered(shared_product, simulator, employ, talk, customer):
    shop = employ(shared_product, "robo-velho")
    late = talk(shop, customer())
    fault = simulator.post("/faults", kind="refuse-login", phone=shop.number, code=503)
    simulator.post("/faults", kind="drop", phone=shop.number)
    until(lambda: not shared_product.connection(shop.name)["isConnected"], what="it is away")
    late.write("vocês estão aí?", secondsAgo=3600)
    simulator.admin.delete(f"/faults/{fault['id']}")
    shop.wait_connected(90)
    until(lambda: shop.texts(late.number) == ["vocês estão aí?"], what="the old message")
    late.proves_silence()
    assert late.shown() == []
    late.write("oi, agora")  # written now, so it is welcomed now
    late.sees(WELCOME, MENU)


def test_kill_9_at_every_step_of_the_welcome(own_product, employ, talk, customer):
    """Killed again and again between the customer's message and WhatsApp's receipt for the menu."""
    shop = employ(own_product, "robo-morre")
    maria = talk(shop, customer())
    assert own_product.stop() == 0
    own_product.start(ZAPVISOR_FAILPOINT="robot-decided:kill")
    shop.wait_connected()
    maria.write("oi")
    for place in ("send", "server-ack", None):
        runtime = own_product.process.popen
        until(lambda p=runtime: p.poll() == -signal.SIGKILL, seconds=60, what=f"dies, then {place}")
        if place is not None:
            # What is left to do takes it to the next place by itself, maybe before it is ready.
            own_product.launch(ZAPVISOR_FAILPOINT=f"{place}:kill")
    own_product.start()
    shop.wait_connected()
    maria.sees(WELCOME, MENU, seconds=40)
    maria.proves_silence()
    maria.sees(WELCOME, MENU)
    until(lambda: [text for text, _ in maria.said()] == [WELCOME, MENU], what="its rows")
    maria.write("1")
    maria.sees(WELCOME, MENU, CHOSEN)
