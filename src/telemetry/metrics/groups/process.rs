//! The process itself.

use super::{super::kinds::gauges_of, group};
use prometheus::GaugeVec;

group! {
    /// The process itself.
    Process, process {
        /// What runs.
        build: GaugeVec = {
            #[cfg(target_os = "linux")]
            super::super::kinds::register(prometheus::process_collector::ProcessCollector::for_self());
            gauges_of("shakerqueue_build_info", "What runs: its version and commit, and as what.", &["version", "revision", "role", "deployment"])
        },
    }
}
