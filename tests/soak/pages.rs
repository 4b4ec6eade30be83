//! Pages of a PHP-FPM that publish at a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orosync_tests::php::Fpm;

/// The pages' publisher number; the two PHP processes come before.
pub(crate) const PAGES: usize = 2;

/// Messages per page.
const MESSAGES: usize = 20;

/// The publishing pages of a soak run.
#[derive(Debug)]
pub(crate) struct Pages {
    ended: Arc<AtomicBool>,
    requested: Arc<AtomicUsize>,
    drivers: Vec<JoinHandle<()>>,
}

impl Pages {
    /// Starts pages that publish `rate` messages a second in total.
    pub(crate) fn start(fpm: &Arc<Fpm>, rate: usize) -> Self {
        // Waits while the queue is full; only accepted messages are counted.
        fpm.write(
            "publish.php",
            &format!(
                r#"for ($i = 0; $i < {MESSAGES}; $i++) {{
                       while (!orosync_publish("oro/ping", [{PAGES}, $_GET["n"] * {MESSAGES} + $i])) {{ usleep(1000); }}
                   }}
                   echo "ok";"#
            ),
        );
        let (ended, requested) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let begun = Instant::now();
        let drivers = (0..2)
            .map(|_| {
                let (ended, requested, fpm) = (Arc::clone(&ended), Arc::clone(&requested), Arc::clone(fpm));
                thread::spawn(move || {
                    while !ended.load(Ordering::Acquire) {
                        let due = begun.elapsed().as_millis() as usize * rate / 1000 / MESSAGES;
                        if requested.load(Ordering::Acquire) >= due {
                            thread::sleep(Duration::from_millis(5));
                            continue;
                        }
                        let request = requested.fetch_add(1, Ordering::AcqRel);
                        let page = fpm.get("publish.php", &format!("n={request}"));
                        assert_eq!(page, "ok", "request {request}");
                    }
                })
            })
            .collect();
        Self { ended, requested, drivers }
    }

    /// Stops the pages and returns the number of accepted messages.
    pub(crate) fn finish(self) -> usize {
        self.ended.store(true, Ordering::Release);
        for driver in self.drivers {
            driver.join().expect("every page was answered");
        }
        self.requested.load(Ordering::Acquire) * MESSAGES
    }
}
