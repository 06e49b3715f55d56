//! Atomics, locks and memory lifetimes; loom's models of them under `--cfg limpid_loom`.

#[cfg(not(limpid_loom))]
pub(super) use real::{AtomicPtr, AtomicU64, Life, Mutex, Ordering, fence};

#[cfg(limpid_loom)]
pub(super) use modelled::{AtomicPtr, AtomicU64, Life, Mutex, Ordering, fence};

#[cfg(not(limpid_loom))]
mod real {
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};

    /// Does nothing outside models.
    #[derive(Debug)]
    pub(crate) struct Life;

    impl Life {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[inline]
        pub(crate) fn look(&self) {}
    }
}

#[cfg(limpid_loom)]
mod modelled {
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};

    /// With `parking_lot`'s interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("models do not poison")
        }

        pub(crate) fn try_lock(&self) -> Option<loom::sync::MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// Memory that readers access until it is freed. Freeing counts as a write, so that loom finds
    /// any access not ordered before it.
    #[derive(Debug)]
    pub(crate) struct Life(loom::cell::UnsafeCell<()>);

    impl Life {
        pub(crate) fn new() -> Self {
            Self(loom::cell::UnsafeCell::new(()))
        }

        pub(crate) fn look(&self) {
            self.0.with(|_| ());
        }
    }

    impl Drop for Life {
        fn drop(&mut self) {
            self.0.with_mut(|_| ());
        }
    }
}
