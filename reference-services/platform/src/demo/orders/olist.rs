//! Reads the CSV layout of the public Olist dataset (orders, items, payments, customers, products).
//!
//! Its quirks are data, not errors: orders without items (unavailable, cancelled) become drafts that are
//! cancelled; several payments of one order become one, by the method that paid most; times carry no zone;
//! the amount charged is items plus freight, whatever the payment rows add up to. What cannot be read is
//! reported with file, line and reason, and an order that lost a row is not imported short of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::NaiveDateTime;
use serde::Serialize;
use uuid::Uuid;

use super::amount::cents;
use super::{Customer, Intent, Item, Money, NewOrder, OrderDraft, Payment};

/// A row that could not be imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RejectedRow {
    /// File name.
    pub(crate) file: String,
    /// Line in the file, the header being line 1.
    pub(crate) line: u64,
    /// Why.
    pub(crate) reason: String,
}

/// What a folder held.
#[derive(Debug, Default)]
pub(crate) struct Import {
    /// Orders in the order of the file.
    pub(crate) orders: Vec<OrderDraft>,
    /// Rows left out.
    pub(crate) rejected: Vec<RejectedRow>,
    /// Orders whose payment rows do not add up to items plus freight.
    pub(crate) notes: Vec<String>,
}

/// Reads the dataset in `folder`.
///
/// # Errors
/// A missing or unreadable file, or one without a column that is needed. A bad row is no error: it is
/// reported in [`Import::rejected`].
pub(crate) fn read(folder: &Path) -> anyhow::Result<Import> {
    let mut reader = Reader {
        folder: folder.to_owned(),
        rejected: Vec::new(),
        spoilt: HashSet::new(),
    };
    let customers = reader.customers()?;
    let categories = reader.categories()?;
    let order_ids = reader.order_ids()?;
    let mut items = reader.items(&order_ids, &categories)?;
    let mut payments = reader.payments(&order_ids)?;

    let mut import = Import::default();
    let mut seen = HashSet::new();
    let rows = reader.rows(
        "olist_orders_dataset.csv",
        &[
            "order_id",
            "customer_id",
            "order_status",
            "order_purchase_timestamp",
        ],
    )?;
    for row in rows {
        match order(
            &row,
            &reader.spoilt,
            &customers,
            &mut items,
            &mut payments,
            &mut seen,
        ) {
            Ok((draft, note)) => {
                import.orders.push(draft);
                import.notes.extend(note);
            }
            Err(reason) => reader.reject(&row, reason),
        }
    }
    import.rejected = reader.rejected;
    import
        .rejected
        .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(import)
}

struct OrderItems {
    items: Vec<Item>,
    freight_cents: i64,
}

struct OrderPayments {
    method: &'static str,
    largest_cents: i64,
    installments: u32,
    total_cents: i64,
}

fn order(
    row: &Row,
    spoilt: &HashSet<Uuid>,
    customers: &HashMap<String, String>,
    items: &mut HashMap<Uuid, OrderItems>,
    payments: &mut HashMap<Uuid, OrderPayments>,
    seen: &mut HashSet<Uuid>,
) -> Result<(OrderDraft, Option<String>), String> {
    let order_id = row.uuid("order_id")?;
    if !seen.insert(order_id) {
        return Err(format!("order {} appears twice", order_id.simple()));
    }
    if spoilt.contains(&order_id) {
        return Err("an item or payment row of this order was rejected".into());
    }
    let purchased = row.text("order_purchase_timestamp")?;
    NaiveDateTime::parse_from_str(purchased, "%Y-%m-%d %H:%M:%S").map_err(|_| {
        format!("order_purchase_timestamp `{purchased}` is not a time such as 2017-05-25 21:10:00")
    })?;
    let customer_key = row.text("customer_id")?;
    let customer = customers
        .get(customer_key)
        .ok_or_else(|| format!("customer {customer_key} is unknown"))?;
    let status = row.text("order_status")?;
    let bought = items.remove(&order_id).unwrap_or(OrderItems {
        items: Vec::new(),
        freight_cents: 0,
    });
    let paid = payments.remove(&order_id);

    let intent = match status {
        "canceled" | "unavailable" => Intent::Cancel(status.into()),
        _ if bought.items.is_empty() => {
            return Err(format!("status {status}, but the order has no items"));
        }
        _ => Intent::CheckOut,
    };
    let customer_id = Uuid::parse_str(customer)
        .map_err(|_| format!("customer_unique_id `{customer}` is not 32 hexadecimal digits"))?;
    let draft = OrderDraft {
        request: NewOrder {
            order_id,
            reference: order_id.simple().to_string(),
            customer: Customer {
                customer_id,
                name: format!("Cliente {}", &customer[..8]),
                email: format!("{customer}@clientes.example"),
            },
            items: bought.items,
            freight: Money::brl(bought.freight_cents),
            payment: Payment {
                method: paid.as_ref().map_or("pix", |payment| payment.method),
                installments: paid.as_ref().map_or(1, |payment| payment.installments),
            },
        },
        intent,
    };
    let total = draft.total_cents();
    let note = paid.filter(|payment| payment.total_cents != total).map(|payment| {
        format!(
            "order {}: payment rows add up to {} cents, items and freight to {total}: {total} is charged",
            order_id.simple(),
            payment.total_cents
        )
    });
    Ok((draft, note))
}

/// Reads files and remembers what it refused.
struct Reader {
    folder: PathBuf,
    rejected: Vec<RejectedRow>,
    /// Orders that lost a row.
    spoilt: HashSet<Uuid>,
}

impl Reader {
    fn reject(&mut self, row: &Row, reason: String) {
        if let Ok(order_id) = row.uuid("order_id") {
            self.spoilt.insert(order_id);
        }
        self.rejected.push(RejectedRow {
            file: row.file.into(),
            line: row.line,
            reason,
        });
    }

    fn rows(&mut self, file: &'static str, columns: &[&'static str]) -> anyhow::Result<Vec<Row>> {
        let path = self.folder.join(file);
        let mut csv = csv::ReaderBuilder::new()
            .flexible(true)
            .from_path(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let header = csv
            .headers()
            .with_context(|| format!("{}: no header", path.display()))?
            .clone();
        let position: BTreeMap<&'static str, usize> = columns
            .iter()
            .filter_map(|column| {
                Some((
                    *column,
                    header
                        .iter()
                        .position(|name| name.trim_start_matches('\u{feff}').trim() == *column)?,
                ))
            })
            .collect();
        if let Some(missing) = columns
            .iter()
            .find(|column| !position.contains_key(*column))
        {
            bail!(
                "{}: column `{missing}` is missing; the header has: {}",
                path.display(),
                header.iter().collect::<Vec<_>>().join(", ")
            );
        }
        let mut rows = Vec::new();
        for record in csv.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    let row = Row {
                        file,
                        line,
                        position: position.clone(),
                        record,
                    };
                    if row.record.len() == header.len() {
                        rows.push(row);
                    } else {
                        let reason = format!(
                            "{} fields where the header has {}",
                            row.record.len(),
                            header.len()
                        );
                        self.reject(&row, reason);
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.rejected.push(RejectedRow {
                        file: file.into(),
                        line,
                        reason: error.to_string(),
                    });
                    if matches!(error.kind(), csv::ErrorKind::Io(_)) {
                        bail!("cannot read {}: {error}", path.display());
                    }
                }
            }
        }
        Ok(rows)
    }

    fn order_ids(&mut self) -> anyhow::Result<HashSet<Uuid>> {
        // Refusals are reported when the orders themselves are read.
        let mut probe = Self {
            folder: self.folder.clone(),
            rejected: Vec::new(),
            spoilt: HashSet::new(),
        };
        let rows = probe.rows("olist_orders_dataset.csv", &["order_id"])?;
        Ok(rows
            .iter()
            .filter_map(|row| row.uuid("order_id").ok())
            .collect())
    }

    /// `customer_id` to `customer_unique_id`: the former is new for every order.
    fn customers(&mut self) -> anyhow::Result<HashMap<String, String>> {
        let mut customers = HashMap::new();
        for row in self.rows(
            "olist_customers_dataset.csv",
            &["customer_id", "customer_unique_id"],
        )? {
            match (row.uuid("customer_id"), row.uuid("customer_unique_id")) {
                (Ok(_), Ok(unique)) => {
                    customers.insert(
                        row.text("customer_id").unwrap_or_default().to_owned(),
                        unique.simple().to_string(),
                    );
                }
                (Err(reason), _) | (_, Err(reason)) => self.reject(&row, reason),
            }
        }
        Ok(customers)
    }

    fn categories(&mut self) -> anyhow::Result<HashMap<String, String>> {
        let rows = self.rows(
            "olist_products_dataset.csv",
            &["product_id", "product_category_name"],
        )?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                Some((
                    row.text("product_id").ok()?.to_owned(),
                    row.optional("product_category_name")?.replace('_', " "),
                ))
            })
            .collect())
    }

    fn items(
        &mut self,
        orders: &HashSet<Uuid>,
        categories: &HashMap<String, String>,
    ) -> anyhow::Result<HashMap<Uuid, OrderItems>> {
        let mut found: HashMap<Uuid, OrderItems> = HashMap::new();
        for row in self.rows(
            "olist_order_items_dataset.csv",
            &["order_id", "product_id", "price", "freight_value"],
        )? {
            match item(&row, orders, categories) {
                Ok((order_id, item, freight)) => {
                    let entry = found.entry(order_id).or_insert(OrderItems {
                        items: Vec::new(),
                        freight_cents: 0,
                    });
                    entry.freight_cents += freight;
                    match entry
                        .items
                        .iter_mut()
                        .find(|known| known.sku == item.sku && known.unit_price == item.unit_price)
                    {
                        Some(known) => known.quantity += 1,
                        None => entry.items.push(item),
                    }
                }
                Err(reason) => self.reject(&row, reason),
            }
        }
        Ok(found)
    }

    fn payments(&mut self, orders: &HashSet<Uuid>) -> anyhow::Result<HashMap<Uuid, OrderPayments>> {
        let mut found: HashMap<Uuid, OrderPayments> = HashMap::new();
        for row in self.rows(
            "olist_order_payments_dataset.csv",
            &[
                "order_id",
                "payment_type",
                "payment_installments",
                "payment_value",
            ],
        )? {
            match payment(&row, orders) {
                Ok((order_id, method, installments, value)) => {
                    let entry = found.entry(order_id).or_insert(OrderPayments {
                        method,
                        largest_cents: -1,
                        installments: 1,
                        total_cents: 0,
                    });
                    entry.total_cents += value;
                    entry.installments = entry.installments.max(installments);
                    if value > entry.largest_cents {
                        (entry.method, entry.largest_cents) = (method, value);
                    }
                }
                Err(reason) => self.reject(&row, reason),
            }
        }
        Ok(found)
    }
}

fn known_order(row: &Row, orders: &HashSet<Uuid>) -> Result<Uuid, String> {
    let order_id = row.uuid("order_id")?;
    if orders.contains(&order_id) {
        Ok(order_id)
    } else {
        Err(format!("order {} is unknown", order_id.simple()))
    }
}

fn item(
    row: &Row,
    orders: &HashSet<Uuid>,
    categories: &HashMap<String, String>,
) -> Result<(Uuid, Item, i64), String> {
    let order_id = known_order(row, orders)?;
    let product = row.text("product_id")?;
    let price = cents(row.text("price")?).map_err(|reason| format!("price: {reason}"))?;
    let freight =
        cents(row.text("freight_value")?).map_err(|reason| format!("freight_value: {reason}"))?;
    let name = categories
        .get(product)
        .cloned()
        .unwrap_or_else(|| "produto".into());
    Ok((
        order_id,
        Item {
            sku: product.into(),
            name,
            quantity: 1,
            unit_price: Money::brl(price),
        },
        freight,
    ))
}

fn payment(row: &Row, orders: &HashSet<Uuid>) -> Result<(Uuid, &'static str, u32, i64), String> {
    let order_id = known_order(row, orders)?;
    let method = match row.text("payment_type")? {
        "credit_card" => "credit_card",
        "debit_card" => "debit_card",
        "boleto" => "boleto",
        "voucher" => "voucher",
        other => return Err(format!("payment_type `{other}` is unknown")),
    };
    let text = row.text("payment_installments")?;
    let installments: u32 = text
        .parse()
        .map_err(|_| format!("payment_installments `{text}` is not a number"))?;
    let value =
        cents(row.text("payment_value")?).map_err(|reason| format!("payment_value: {reason}"))?;
    // The dataset has card payments in zero installments; they were paid at once.
    Ok((order_id, method, installments.max(1), value))
}

struct Row {
    file: &'static str,
    line: u64,
    position: BTreeMap<&'static str, usize>,
    record: csv::StringRecord,
}

impl Row {
    fn optional(&self, column: &str) -> Option<&str> {
        let text = self.record.get(*self.position.get(column)?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn text(&self, column: &str) -> Result<&str, String> {
        self.optional(column)
            .ok_or_else(|| format!("{column} is empty"))
    }

    fn uuid(&self, column: &str) -> Result<Uuid, String> {
        let text = self.text(column)?;
        Uuid::parse_str(text).map_err(|_| format!("{column} `{text}` is not 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Import, read};
    use crate::demo::orders::Intent;

    const ORDERS: &str = "order_id,customer_id,order_status,order_purchase_timestamp\n";
    const CUSTOMERS: &str = "customer_id,customer_unique_id,customer_zip_code_prefix\n";
    const ITEMS: &str = "order_id,order_item_id,product_id,price,freight_value\n";
    const PAYMENTS: &str = "order_id,payment_type,payment_installments,payment_value\n";

    fn id(number: u32) -> String {
        format!("{number:032x}")
    }

    fn import(orders: &str, customers: &str, items: &str, payments: &str) -> Import {
        let folder = tempfile::tempdir().unwrap();
        for (file, header, rows) in [
            ("olist_orders_dataset.csv", ORDERS, orders),
            ("olist_customers_dataset.csv", CUSTOMERS, customers),
            ("olist_order_items_dataset.csv", ITEMS, items),
            ("olist_order_payments_dataset.csv", PAYMENTS, payments),
            (
                "olist_products_dataset.csv",
                "product_id,product_category_name,product_name_lenght\n",
                "p1,cama_mesa,12\n",
            ),
        ] {
            fs::write(folder.path().join(file), format!("{header}{rows}")).unwrap();
        }
        read(folder.path()).unwrap()
    }

    #[test]
    fn an_order_keeps_its_cents_and_its_largest_payment() {
        let (order, customer) = (id(1), id(2));
        let import = import(
            &format!("{order},{customer},delivered,2017-05-25 21:10:00\n"),
            &format!("{customer},{},8450\n", id(3)),
            &format!("{order},1,p1,179.9,15.01\n{order},2,p1,179.9,15.01\n"),
            &format!("{order},voucher,1,10.00\n{order},credit_card,4,379.82\n"),
        );
        assert_eq!(import.rejected, []);
        assert_eq!(import.notes, [] as [String; 0]);
        let draft = &import.orders[0];
        assert_eq!(draft.total_cents(), 38_982);
        assert_eq!(draft.request.items.len(), 1);
        assert_eq!(
            (
                draft.request.items[0].quantity,
                draft.request.items[0].name.as_str()
            ),
            (2, "cama mesa")
        );
        assert_eq!(
            (
                draft.request.payment.method,
                draft.request.payment.installments
            ),
            ("credit_card", 4)
        );
    }

    #[test]
    fn an_order_without_items_is_a_draft_that_is_cancelled() {
        let import = import(
            &format!("{},{},unavailable,2017-05-25 21:10:00\n", id(1), id(2)),
            &format!("{},{},8450\n", id(2), id(3)),
            "",
            "",
        );
        assert_eq!(
            import.orders[0].intent,
            Intent::Cancel("unavailable".into())
        );
        assert_eq!(import.orders[0].total_cents(), 0);
    }

    #[test]
    fn bad_rows_are_told_by_file_line_and_reason_and_spoil_only_their_order() {
        let (good, short, customer) = (id(1), id(4), id(2));
        let import = import(
            &format!(
                "{good},{customer},delivered,2017-05-25 21:10:00\n{short},{customer},delivered,2017-05-25 21:10:00\nxyz,{customer},delivered,2017-05-25 21:10:00\n{},{customer},delivered,yesterday\n",
                id(5)
            ),
            &format!("{customer},{},8450\n", id(3)),
            &format!(
                "{good},1,p1,10,1\n{short},1,p1,ten,1\n{},1,p1,1,1\n{good},1,p1\n",
                id(9)
            ),
            "",
        );
        let told: Vec<_> = import
            .rejected
            .iter()
            .map(|row| (row.file.as_str(), row.line))
            .collect();
        assert_eq!(
            told,
            [
                ("olist_order_items_dataset.csv", 3),
                ("olist_order_items_dataset.csv", 4),
                ("olist_order_items_dataset.csv", 5),
                ("olist_orders_dataset.csv", 2),
                ("olist_orders_dataset.csv", 3),
                ("olist_orders_dataset.csv", 4),
                ("olist_orders_dataset.csv", 5),
            ]
        );
        assert!(
            import.rejected[0].reason.contains("`ten`"),
            "{:?}",
            import.rejected[0]
        );
        assert!(
            import.orders.is_empty(),
            "the good order lost a row as well, the ragged one"
        );
    }

    #[test]
    fn a_missing_column_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("olist_customers_dataset.csv"),
            "customer_id\n",
        )
        .unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("customer_unique_id"), "{error}");
    }
}
