//! [`run`]: what `qmesh q` does.

use std::{
    io::IsTerminal as _,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use qlang::{
    QError,
    host::Capabilities,
    session::{Budget, Session},
};

use crate::{
    args::{Args, HELP},
    console::Console,
    listener,
    net::Net,
    process::{Exit, Policy, Process},
    world::{Shared, World},
};

/// Stack of the thread that evaluates: deep recursion is q's way of looping. Pages that are not used cost nothing.
const STACK: usize = 256 << 20;

/// Runs `qmesh q` with the arguments behind it; gives the exit code, 2 for a command line that is wrong.
pub fn run(arguments: Vec<String>) -> u8 {
    let args = match Args::parse(arguments) {
        Ok(args) => args,
        Err(e) => {
            eprintln!("qmesh q: {e}");
            return 2;
        }
    };
    if args.help {
        // A reader that has seen enough is no failure.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), HELP.as_bytes());
        return 0;
    }
    let code = std::thread::Builder::new().stack_size(STACK).spawn(move || process(args)).map(|t| t.join());
    match code {
        Ok(Ok(code)) => code as u8,
        Ok(Err(_)) => 70,
        Err(e) => {
            eprintln!("qmesh q: cannot start a thread: {e}");
            71
        }
    }
}

fn process(args: Args) -> Exit {
    let interrupted = Arc::new(AtomicBool::new(false));
    // Without the handler ctrl-C ends the process, which is no reason not to start.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, interrupted.clone());
    let mut net = Net::default();
    net.open_to_all = args.users.is_some();
    net.interrupted = interrupted.clone();
    let net: Shared = Arc::new(Mutex::new(net));
    let needs_console = args.eval.is_empty();
    let console = if needs_console { Console::start().ok() } else { None };
    let is_terminal = std::io::stdin().is_terminal();

    let mut line = vec!["q".to_owned(), args.script.clone().unwrap_or_default()];
    line.extend(args.rest.iter().cloned());
    let world = World::with(Capabilities::all(), net.clone(), console.clone(), line);
    let confine = world.confined();
    let mut session = Session::new(Box::new(world));
    let budget = Budget {
        memory: args.memory.map(|mb| (mb as usize).saturating_mul(1 << 20)),
        stack: STACK / 4 * 3,
        cancel: Some(interrupted.clone()),
        ..Budget::default()
    };
    session.budget(budget.clone());
    if let Some(n) = args.threads {
        session.threads(n.max(1));
    }
    let mut process = Process {
        session,
        net,
        console,
        policy: Policy {
            users: args.users.clone(),
            confined: args.confined,
            blocked: args.blocked,
            timeout: args.timeout.filter(|t| *t > 0).map(Duration::from_secs),
        },
        budget,
        confine,
        prompt: if is_terminal && !args.quiet { "q)" } else { "" },
        parts: Default::default(),
    };
    for flag in &args.ignored {
        process.print(2, format!("qmesh q: {flag} has no meaning here and is passed over\n").as_bytes());
    }
    for command in &args.commands {
        if let Err(e) = process.session.console(&format!("\\{command}")) {
            eprintln!("qmesh q: -{command}: {e}");
            return 2;
        }
    }
    start(&mut process, &args, is_terminal)
}

/// Loads the script, opens the port, evaluates what is to be evaluated, and goes on while something is to go on.
fn start(process: &mut Process, args: &Args, is_terminal: bool) -> Exit {
    let mut failed = false;
    // The script asks for the timer and the port, which it would else choose itself.
    if let Some(t) = args.timer {
        process.net().timer.set(t);
    }
    if let Some(port) = &args.port {
        let number = port.rsplit([':', ',']).next().and_then(|p| p.parse::<i32>().ok());
        process.net().promised = number.map_or(0, i32::abs);
    }
    if let Some(script) = &args.script {
        let loaded = load(process, script);
        if let Err(e) = loaded {
            if let Some(code) = process.fail(&e) {
                return code;
            }
            failed = true;
        }
    }
    let is_open = !process.net().listeners.is_empty();
    if let Some(port) = args.port.as_ref().filter(|_| !is_open) {
        let listening = process.net().listen(port);
        match listening {
            Ok(_) => {
                let where_ = listener::described(&process.net().listeners);
                let how = match (args.users.is_some(), port.contains(':')) {
                    (false, false) => " (loopback only: -p HOST:PORT, -u or -U opens it)",
                    _ => "",
                };
                if !where_.is_empty() {
                    // A reader that is gone must not end a server.
                    process.print(2, format!("qmesh q: listening on {where_}{how}\n").as_bytes());
                }
            }
            Err(e) => {
                eprintln!("qmesh q: {}", e.text());
                return 1;
            }
        }
    }
    for text in &args.eval {
        match process.session.console(text) {
            Ok(shown) => process.print(1, shown.as_bytes()),
            Err(e) => return process.fail(&e).unwrap_or(1),
        }
    }
    let goes_on = process.net().port() != 0 || process.net().timer.milliseconds > 0;
    if !args.eval.is_empty() && !goes_on {
        return process.exit(i32::from(failed));
    }
    if failed && !is_terminal && !goes_on {
        return process.exit(1);
    }
    process.run()
}

/// Loads a script or a database folder.
fn load(process: &mut Process, path: &str) -> Result<(), QError> {
    let is_dir = std::path::Path::new(path).is_dir();
    let path = match !is_dir && !std::path::Path::new(path).exists() {
        true if std::path::Path::new(&format!("{path}.q")).exists() => format!("{path}.q"),
        _ => path.to_owned(),
    };
    if is_dir {
        return process.session.console(&format!("\\l {path}")).map(|_| ());
    }
    process.session.load(&path)
}
