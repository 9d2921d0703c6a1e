//! Version, processor time and memory of the process.

use super::{
    super::families::{gauge_vec, register},
    group,
};
use prometheus::GaugeVec;

group! {
    ProcessMetrics, process {
        build: GaugeVec = {
            #[cfg(target_os = "linux")]
            register(prometheus::process_collector::ProcessCollector::for_self());
            gauge_vec(
                "shakerqueue_build_info",
                "Always 1, with the version, commit, role and deployment of this process.",
                &["version", "revision", "role", "deployment"],
            )
        },
    }
}
