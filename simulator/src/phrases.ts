// What customers of a Brazilian business write.

const LINES = [
  "Oi, tudo bem?",
  "Bom dia! Vocês estão atendendo hoje?",
  "Queria saber o preço daquele produto do anúncio",
  "Vocês entregam no meu bairro?",
  "Qual o prazo de entrega?",
  "Aceita Pix?",
  "Dá pra parcelar no cartão?",
  "Meu pedido ainda não chegou 😕",
  "Pode me mandar o código de rastreio, por favor?",
  "Tem na cor preta?",
  "Qual o horário de vocês no sábado?",
  "Preciso trocar o tamanho, como faço?",
  "Ok, vou querer dois então",
  "Consegue fazer um descontinho? 🙏",
  "Já fiz o Pix, segue o comprovante",
  "Recebi aqui, amei! Obrigada ❤️",
  "Vocês têm loja física?",
  "Pode me ligar quando puder?",
  "Deu erro na hora de pagar no site",
  "Fechado, muito obrigado pelo atendimento!",
] as const;

const NAMES = [
  "Ana Souza",
  "Bruno Lima",
  "Carla Mendes",
  "Diego Ferreira",
  "Eduarda Rocha",
  "Felipe Santos",
  "Gabriela Alves",
  "Henrique Costa",
  "Isabela Martins",
  "João Pedro Silva",
] as const;

/** A line of a conversation; the lines repeat from the start when they run out. */
export function customerLine(index: number): string {
  return LINES[index % LINES.length]!;
}

/** A customer's name by index. */
export function customerName(index: number): string {
  return NAMES[index % NAMES.length]!;
}
