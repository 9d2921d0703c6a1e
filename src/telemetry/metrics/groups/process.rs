//! Version, processor time and memory of the process.

use super::{
    super::families::{gauge_vec, register},
    group,
};
use prometheus::GaugeVec;

group! {
    ProcessMetrics, process {
        /// Always 1, with the version, commit, role and deployment of this process.
        build: GaugeVec = with_process("shakerqueue_build_info", &["version", "revision", "role", "deployment"]),
    }
}

/// Declares a gauge beside the metrics that the library has of every process.
fn with_process(name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    #[cfg(target_os = "linux")]
    register(prometheus::process_collector::ProcessCollector::for_self());
    gauge_vec(name, help, labels)
}
