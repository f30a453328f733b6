//! A value that something above the user constrains.
//!
//! Whoever sets it cannot get round the rule: a value is first made to fit, when the rule can do that,
//! and then checked. The list of MCP servers is such a value; its rule turns servers off and never fails.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Why a value was not set; the old one holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` = {value} is not allowed by {source_name}; allowed: {allowed}")]
pub struct ConstraintError {
    /// The key.
    pub key: &'static str,
    /// What was to be set.
    pub value: String,
    /// What may be set.
    pub allowed: String,
    /// Where the rule stands.
    pub source_name: String,
}

type Check<T> = Arc<dyn Fn(&T) -> Result<(), ConstraintError> + Send + Sync>;
type Normalize<T> = Arc<dyn Fn(T) -> T + Send + Sync>;

/// What a value must obey.
pub struct Constraint<T> {
    check: Option<Check<T>>,
    normalize: Option<Normalize<T>>,
}

impl<T> Constraint<T> {
    /// Refuses what does not fit.
    pub fn check(
        check: impl Fn(&T) -> Result<(), ConstraintError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: Some(Arc::new(check)),
            normalize: None,
        }
    }

    /// Makes every value fit.
    pub fn normalize(normalize: impl Fn(T) -> T + Send + Sync + 'static) -> Self {
        Self {
            check: None,
            normalize: Some(Arc::new(normalize)),
        }
    }

    /// Allows everything.
    pub fn none() -> Self {
        Self {
            check: None,
            normalize: None,
        }
    }
}

impl<T> Clone for Constraint<T> {
    fn clone(&self) -> Self {
        Self {
            check: self.check.clone(),
            normalize: self.normalize.clone(),
        }
    }
}

/// A value with its rule. Reads as the value.
#[derive(Clone)]
pub struct Constrained<T> {
    value: T,
    constraint: Constraint<T>,
}

impl<T> Constrained<T> {
    /// Makes a value fit and checks it.
    pub fn new(value: T, constraint: Constraint<T>) -> Result<Self, ConstraintError> {
        let value = constrain(value, &constraint)?;
        Ok(Self { value, constraint })
    }

    /// Takes a value that nothing constrains.
    pub fn free(value: T) -> Self {
        Self {
            value,
            constraint: Constraint::none(),
        }
    }

    /// Returns the value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Makes a value fit, checks it and takes it; after an error the old one holds.
    pub fn set(&mut self, value: T) -> Result<(), ConstraintError> {
        self.value = constrain(value, &self.constraint)?;
        Ok(())
    }
}

fn constrain<T>(value: T, constraint: &Constraint<T>) -> Result<T, ConstraintError> {
    let value = match &constraint.normalize {
        Some(normalize) => normalize(value),
        None => value,
    };
    if let Some(check) = &constraint.check {
        check(&value)?;
    }
    Ok(value)
}

impl<T> Deref for Constrained<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Default> Default for Constrained<T> {
    fn default() -> Self {
        Self::free(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Constrained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Constraint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(value: &i32) -> Result<(), ConstraintError> {
        if value % 2 == 0 {
            return Ok(());
        }
        Err(ConstraintError {
            key: "n",
            value: value.to_string(),
            allowed: "even numbers".to_owned(),
            source_name: "/p".to_owned(),
        })
    }

    /// Row 10.constrained.
    #[test]
    fn a_value_that_does_not_fit_leaves_the_old_one() {
        let mut n = Constrained::new(2, Constraint::check(even)).unwrap();
        let error = n.set(3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`n` = 3 is not allowed by /p; allowed: even numbers"
        );
        assert_eq!(*n, 2);
        n.set(4).unwrap();
        assert_eq!(*n, 4);
        assert!(Constrained::new(5, Constraint::check(even)).is_err());
    }

    /// Row 10.constrained.
    #[test]
    fn a_value_is_made_to_fit_before_it_is_checked() {
        let constraint = Constraint {
            check: Some(Arc::new(even)),
            normalize: Some(Arc::new(|n| n * 2)),
        };
        let mut n = Constrained::new(3, constraint).unwrap();
        assert_eq!(*n, 6);
        n.set(5).unwrap();
        assert_eq!(*n, 10);
    }
}
