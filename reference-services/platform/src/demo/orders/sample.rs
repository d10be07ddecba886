//! A sample of our own making: plausible orders of a small Brazilian shop, the same for the same run.

use uuid::Uuid;

use super::{Customer, Intent, Item, Money, NewOrder, OrderDraft, Payment};

const PRODUCTS: [(&str, &str, i64); 12] = [
    ("CAFE-500", "Café torrado em grãos 500 g", 3_490),
    ("FILTRO-103", "Filtro de papel 103", 890),
    ("MOKA-3", "Cafeteira moka 3 xícaras", 12_990),
    ("CANECA-AZ", "Caneca esmaltada azul", 4_250),
    ("MOEDOR-M", "Moedor manual", 21_900),
    ("BALANCA-2K", "Balança de cozinha 2 kg", 9_975),
    ("CHALEIRA-G", "Chaleira bico de ganso", 18_450),
    ("COADOR-V60", "Coador cônico", 6_730),
    ("ACUCAR-DEM", "Açúcar demerara 1 kg", 1_199),
    ("BISC-POLV", "Biscoito de polvilho", 745),
    ("DOCE-LEITE", "Doce de leite 400 g", 2_380),
    ("PANO-3", "Jogo de três panos de prato", 2_999),
];
const FIRST: [&str; 12] = [
    "Ana", "Bruno", "Carla", "Davi", "Elisa", "Fábio", "Gabriela", "Heitor", "Iara", "João",
    "Kátia", "Lucas",
];
const LAST: [&str; 10] = [
    "Almeida", "Barros", "Cardoso", "Duarte", "Esteves", "Ferreira", "Gomes", "Lima", "Moraes",
    "Nogueira",
];
const METHODS: [(&str, u32); 6] = [
    ("pix", 1),
    ("credit_card", 1),
    ("credit_card", 3),
    ("boleto", 1),
    ("debit_card", 1),
    ("credit_card", 10),
];

/// `count` orders of one run; the same run gives the same orders, so that a resumed demo continues with them.
#[must_use]
pub(crate) fn orders(run: Uuid, count: usize) -> Vec<OrderDraft> {
    (0..count).map(|index| order(run, index)).collect()
}

fn order(run: Uuid, index: usize) -> OrderDraft {
    let mut draw = Draw::new(index as u64 + 1);
    let (first, last) = (draw.of(&FIRST), draw.of(&LAST));
    let mut items: Vec<Item> = Vec::new();
    for _ in 0..=draw.below(4) {
        let (sku, name, cents) = draw.of(&PRODUCTS);
        let quantity = u32::try_from(1 + draw.below(3)).unwrap_or(1);
        match items.iter_mut().find(|item| item.sku == sku) {
            Some(item) => item.quantity += quantity,
            None => items.push(Item {
                sku: sku.into(),
                name: name.into(),
                quantity,
                unit_price: Money::brl(cents),
            }),
        }
    }
    let (method, installments) = draw.of(&METHODS);
    let freight = i64::try_from(draw.below(4_000)).unwrap_or(0);
    OrderDraft {
        request: NewOrder {
            order_id: Uuid::new_v5(&run, format!("order {index}").as_bytes()),
            reference: format!("S-{:05}", index + 1),
            customer: Customer {
                customer_id: Uuid::new_v5(&run, format!("customer {index}").as_bytes()),
                name: format!("{first} {last}"),
                email: format!("cliente{:05}@clientes.example", index + 1),
            },
            items,
            freight: Money::brl(freight),
            payment: Payment {
                method,
                installments,
            },
        },
        intent: Intent::CheckOut,
    }
}

/// SplitMix64: a few lines that draw the same numbers on every machine and in every version, which no
/// random number crate promises.
struct Draw(u64);

impl Draw {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        let bound = u64::try_from(N).unwrap_or(1);
        from[usize::try_from(self.below(bound)).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::orders;

    #[test]
    fn a_run_always_gives_the_same_orders() {
        let run = Uuid::from_u128(7);
        assert_eq!(
            format!("{:?}", orders(run, 300)),
            format!("{:?}", orders(run, 300))
        );
        let other = orders(Uuid::from_u128(8), 1);
        assert_ne!(
            other[0].request.order_id,
            orders(run, 1)[0].request.order_id
        );
    }

    #[test]
    fn every_order_is_one_of_its_own_and_costs_something() {
        let sample = orders(Uuid::from_u128(7), 1_000);
        let ids: HashSet<_> = sample.iter().map(|draft| draft.request.order_id).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(
            sample
                .iter()
                .all(|draft| draft.total_cents() > 0 && !draft.request.items.is_empty())
        );
    }
}
