//! Asks routes until each has answered once.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::fault::Fault;
use crate::plan::routes::RouteCheck;
use crate::world::{Visits as _, World};

const PAUSE: Duration = Duration::from_millis(100);

/// # Errors
/// The route did not answer; the fault says what came last.
pub(super) async fn ask(route: &RouteCheck, world: &impl World) -> Result<(), Fault> {
    let began = Instant::now();
    loop {
        match world.probes().visit(route).await {
            Ok(()) => return Ok(()),
            Err(answer) if began.elapsed() >= route.within => {
                let doing = format!("see {} answer", route.url());
                return Err(Fault::refuse(doing, answer));
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}
