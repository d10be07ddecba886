//! The commerce vocabulary: the platform's events and the values in them.
//!
//! Fields of events are public and structs can be written out: a producer that forgets a new field does not compile.

mod allocation;
mod currency;
mod email;
mod identifiers;
mod items;
mod money;
mod notifications;
mod orders;
mod payments;
mod rounding;

pub use currency::{Currency, UnknownCurrency};
pub use email::{EmailAddress, InvalidEmailAddress};
pub use identifiers::{CustomerId, NotificationId, OrderId, OrganizationId, PaymentId};
pub use items::{InvalidQuantity, InvalidSku, OrderItem, Quantity, Sku};
pub use money::{Money, MoneyError};
pub use notifications::{Channel, CustomerNotified, Outcome};
pub use orders::{
    Customer, OrderCancelled, OrderCreated, OrderPaymentPending, OrderReceived, PaymentRequested,
    PreparationRequested,
};
pub use payments::{PaymentConfirmed, PaymentMethod, PaymentRejected};
pub use rounding::Rounding;
