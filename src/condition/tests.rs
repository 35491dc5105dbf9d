use super::*;

fn fault() -> Fault {
    Fault::refuse("see service web healthy", "it failed")
}

fn verdicts() -> [(Option<Verdict>, Condition); 8] {
    let (at, since) = ("2026-01-01T00:00:00Z".to_owned(), "2026-01-01T00:00:00Z".to_owned());
    let step = "watch web".to_owned();
    [
        (None, Condition::NotReady),
        (Some(Verdict::Applying { since: since.clone() }), Condition::NotReady),
        (Some(Verdict::Confirmed { at: at.clone() }), Condition::Fine),
        (
            Some(Verdict::RollingBack {
                since: since.clone(),
                to: None,
                step: step.clone(),
                fault: fault(),
            }),
            Condition::NotReady,
        ),
        (
            Some(Verdict::RolledBack {
                at: at.clone(),
                to: None,
                step: step.clone(),
                fault: fault(),
            }),
            Condition::Failed,
        ),
        (
            Some(Verdict::Refused {
                at: at.clone(),
                rule: "manifest".to_owned(),
                reason: "invalid".to_owned(),
                because: vec!["no".to_owned()],
                remedy: String::new(),
            }),
            Condition::Failed,
        ),
        (Some(Verdict::Waiting { since, reasons: vec!["rain".to_owned()] }), Condition::NotReady),
        (Some(Verdict::Failed { at, step, fault: fault(), rollback: fault() }), Condition::Failed),
    ]
}

fn confirmed() -> Verdict {
    Verdict::Confirmed { at: "2026-01-01T00:00:00Z".to_owned() }
}

fn view(verdict: Option<&Verdict>) -> View<'_> {
    View {
        agent: AgentState::Running,
        verdict,
        refused: None,
        faults: Vec::new(),
        waiting: &[],
        drift: &[],
        services: BTreeMap::new(),
        routes: RoutesState::Served,
    }
}

#[test]
fn each_verdict_has_its_condition_and_each_other_than_fine_a_reason() {
    for (verdict, condition) in verdicts() {
        let judgement = judge(&view(verdict.as_ref()));
        assert_eq!(judgement.condition, condition, "{verdict:?}");
        assert_eq!(judgement.reasons.is_empty(), condition == Condition::Fine, "{verdict:?}");
    }
}

/// What is wrong beside a confirmed verdict.
#[test]
fn nothing_hides_behind_a_confirmed_verdict() {
    let confirmed = confirmed();
    let calm = view(Some(&confirmed));
    let web: ServiceName = "web".parse().unwrap();
    let drift = |what| Drift {
        what,
        service: Some(web.clone()),
        expected: "active".to_owned(),
        found: "failed".to_owned(),
    };
    let service =
        |health| View { services: BTreeMap::from([(web.clone(), health)]), ..calm.clone() };
    let (soon, now) = (Fault::wait("ask", "no answer"), fault());
    let vitals = Vitals { restarts: 10, uptime: Some(Duration::from_secs(2)) };
    let (route, crashed) = ([drift(What::Route)], [drift(What::UnitFailed)]);
    let waiting = ["Caddy".to_owned()];
    let table = [
        (calm.clone(), "fine"),
        (View { agent: AgentState::Once, ..calm.clone() }, "fine"),
        (
            View { agent: AgentState::Absent, ..calm.clone() },
            "not ready: no agent is running: nothing follows the branch",
        ),
        (View { waiting: &waiting, ..calm.clone() }, "not ready: Caddy"),
        (View { faults: vec![&soon], ..calm.clone() }, "not ready: could not ask: no answer"),
        (
            View { faults: vec![&soon, &now], ..calm.clone() },
            "failed: could not see service web healthy: it failed (and 1 more)",
        ),
        (
            View { drift: &route, ..calm.clone() },
            "not ready: web: route, expected active, found failed",
        ),
        (
            View { drift: &crashed, ..calm.clone() },
            "failed: web: unit-failed, expected active, found failed",
        ),
        (
            View {
                drift: &crashed,
                ..service(Health::Failed(Some("exit-code, status 1".to_owned())))
            },
            "failed: service web: failed (exit-code, status 1)",
        ),
        (
            service(Health::CrashLoop(vitals)),
            "failed: service web: crash loop, systemd started it again 10 times, last 2 s ago",
        ),
        (service(Health::Stopped), "not ready: service web: inactive"),
        (service(Health::Changing(UnitState::Activating)), "not ready: service web: activating"),
        (service(Health::Up), "fine"),
        (
            View { routes: RoutesState::Unknown("connection refused".to_owned()), ..calm.clone() },
            "not ready: the routes are unknown: connection refused",
        ),
        (
            View { routes: RoutesState::Missing(vec!["a.example/".to_owned()]), ..calm.clone() },
            "not ready: Caddy does not route a.example/",
        ),
    ];
    for (view, told) in table {
        assert_eq!(judge(&view).to_string(), told);
    }
}

#[test]
fn a_service_that_keeps_being_started_again_crashes_in_a_loop_until_it_lasts() {
    let vitals = |restarts, seconds: Option<u64>| Vitals {
        restarts,
        uptime: seconds.map(Duration::from_secs),
    };
    let active = |restarts, seconds| health(UnitState::Active, None, vitals(restarts, seconds));
    assert_eq!(active(0, Some(1)), Health::Up);
    assert_eq!(active(2, Some(1)), Health::Up);
    assert_eq!(active(10, Some(1)), Health::CrashLoop(vitals(10, Some(1))));
    assert_eq!(active(10, Some(301)), Health::Up, "it lasts");
    let pause = health(UnitState::Activating, Some("exit-code"), vitals(10, None));
    assert_eq!(pause, Health::CrashLoop(vitals(10, None)), "between two starts");
    let failed = health(UnitState::Failed, Some("exit-code"), vitals(10, None));
    assert_eq!(failed, Health::Failed(Some("exit-code".to_owned())));
}
