use commerce_contracts::PersonalData;

#[derive(PersonalData)]
struct Named<T> {
    #[event(personal)]
    name: String,
    more: T,
}

fn main() {}
