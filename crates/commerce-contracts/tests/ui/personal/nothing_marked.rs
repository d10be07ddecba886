use commerce_contracts::PersonalData;

#[derive(PersonalData)]
struct Customer {
    name: String,
}

#[derive(PersonalData)]
struct Nobody;

#[derive(PersonalData)]
enum Party {
    Person(String),
}

fn main() {}
