//! Limits on the orders of guests.

use clap::Args;
use std::{num::NonZeroU32, str::FromStr};

const MAX_OPEN_ORDERS: u32 = 1000;

/// Staff are exempt from the limit on open orders.
#[derive(Debug, Clone, Copy, Args)]
pub struct OrderLimits {
    /// Limit on open orders of a customer: queued, pending or in progress. `off` (for load tests) also turns off the two limits
    /// below. Staff are exempt.
    #[arg(long, env = "OPEN_ORDERS", value_name = "off|N", default_value = "10")]
    pub open_orders: OpenOrdersLimit,

    /// Limit on open drinks of accounts younger than an hour, for all accounts at one address together.
    #[arg(long, env = "NEW_ACCOUNTS_DRINKS", value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub new_accounts_drinks: u32,

    /// Limit on drinks in one order.
    #[arg(long, env = "DRINKS_PER_ORDER", value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub drinks_per_order: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOrdersLimit {
    Off,
    Limit(NonZeroU32),
}

impl FromStr for OpenOrdersLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self::Off),
            number => match number.parse::<NonZeroU32>() {
                Ok(limit) if limit.get() <= MAX_OPEN_ORDERS => Ok(Self::Limit(limit)),
                _ => Err(format!("must be off, or 1 to {MAX_OPEN_ORDERS}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_off() {
        assert_eq!("off".parse(), Ok(OpenOrdersLimit::Off));
        assert_eq!(" off ".parse(), Ok(OpenOrdersLimit::Off));
        assert_eq!("1000".parse(), NonZeroU32::new(1000).map(OpenOrdersLimit::Limit).ok_or(String::new()));
        assert_eq!("10".parse(), NonZeroU32::new(10).map(OpenOrdersLimit::Limit).ok_or(String::new()));
        for text in ["", "0", "-1", "1001", "on", "10,5"] {
            assert!(text.parse::<OpenOrdersLimit>().is_err(), "{text}");
        }
    }
}
