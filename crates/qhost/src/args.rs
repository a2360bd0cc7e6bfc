//! The command line of `qmesh q`: q's own flags with their meaning, and `--eval`.

/// What was asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    /// the script
    pub(crate) script: Option<String>,
    /// what follows the script, and options that are not q's: `.z.x`
    pub(crate) rest: Vec<String>,
    /// `--eval`, in order
    pub(crate) eval: Vec<String>,
    /// `-p`
    pub(crate) port: Option<String>,
    /// `-u` or `-U`: the file of users; `1` for none
    pub(crate) users: Option<String>,
    /// `-u`: remote callers see files below the start folder only
    pub(crate) confined: bool,
    /// `-b`
    pub(crate) blocked: bool,
    /// `-q`
    pub(crate) quiet: bool,
    /// `-t`, milliseconds
    pub(crate) timer: Option<i64>,
    /// `-T`, seconds
    pub(crate) timeout: Option<u64>,
    /// `-w`, MB
    pub(crate) memory: Option<u64>,
    /// `-s`
    pub(crate) threads: Option<usize>,
    /// `-c -C -e -g -o -P -S -W -z` as system commands
    pub(crate) commands: Vec<String>,
    /// flags that are accepted and do nothing here
    pub(crate) ignored: Vec<String>,
    /// print the help
    pub(crate) help: bool,
}

/// Flags with one value that are system commands of the same letter.
const COMMANDS: &[&str] = &["-e", "-g", "-o", "-P", "-S", "-W", "-z"];
/// Flags of kdb+ that mean nothing here, with how many values follow.
const IGNORED: &[(&str, usize)] = &[("-l", 0), ("-L", 0), ("-r", 1), ("-m", 1)];

/// What `--help` prints.
pub(crate) const HELP: &str = "\
qmesh q: the q language as a console, a script runner and a process that speaks kdb+

Usage: qmesh q [FILE] [flags] [arguments for the script]

  --eval EXPR      print the value of EXPR and end; repeatable
  -p [HOST:]PORT   listen; on loopback only, unless HOST, -u or -U is given
  -u FILE, -U FILE users and passwords; -u also keeps remote callers to the start folder and off the shell
  -b               remote callers may change nothing
  -q               no banner and prompt
  -t MS            call .z.ts every MS milliseconds
  -T SECONDS       time limit of a remote call
  -w MB            memory limit of a call
  -s N             threads
  -c R C, -C R C   size of the console, of HTTP answers
  -e -g -o -P -S -W -z N   as the system commands of these letters
";

impl Args {
    /// Reads the arguments behind `qmesh q`. The error says what is wrong.
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Args, String> {
        let mut args = Args::default();
        let mut left = arguments.into_iter().peekable();
        let mut seen_flag = false;
        while let Some(arg) = left.next() {
            let mut value = |what: &str| left.next().ok_or_else(|| format!("{arg} needs {what}"));
            match arg.as_str() {
                "--help" => args.help = true,
                "--eval" => args.eval.push(value("an expression")?),
                a if a.starts_with("--eval=") => args.eval.push(a["--eval=".len()..].to_owned()),
                "-p" => args.port = Some(value("a port")?),
                "-u" | "-U" => {
                    args.confined = arg == "-u";
                    args.users = Some(value("a file of users")?);
                }
                "-b" => args.blocked = true,
                "-E" => {
                    let mode = value("a mode of TLS")?;
                    if mode != "0" {
                        return Err(format!(
                            "-E {mode}: TLS is not built in yet, and going on without it would be less safe than asked; leave it out, or say -E 0"
                        ));
                    }
                }
                "-q" => args.quiet = true,
                "-t" => args.timer = Some(number(&arg, &value("milliseconds")?)?),
                "-T" => args.timeout = Some(number(&arg, &value("seconds")?)?),
                "-w" => args.memory = Some(number(&arg, &value("megabytes")?)?),
                "-s" => {
                    args.threads =
                        Some(number::<i64>(&arg, &value("a number of threads")?)?.unsigned_abs() as usize)
                }
                "-c" | "-C" => {
                    let (rows, columns) = (value("rows and columns")?, value("rows and columns")?);
                    let _: (u32, u32) = (number(&arg, &rows)?, number(&arg, &columns)?);
                    args.commands.push(format!("{} {rows} {columns}", &arg[1..]));
                }
                a if COMMANDS.contains(&a) => {
                    let n = value("a number")?;
                    let _: i64 = number(&arg, &n)?;
                    args.commands.push(format!("{} {n}", &arg[1..]));
                }
                a => match IGNORED.iter().find(|i| i.0 == a) {
                    Some((_, values)) => {
                        args.ignored.push(arg.clone());
                        for _ in 0..*values {
                            value("a value")?;
                        }
                    }
                    None if args.script.is_none() && !seen_flag && !a.starts_with('-') => {
                        args.script = Some(arg);
                    }
                    None => {
                        seen_flag = true;
                        args.rest.push(arg);
                    }
                },
            }
        }
        Ok(args)
    }
}

fn number<T: std::str::FromStr>(flag: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{flag} needs a number where it has {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args, String> {
        Args::parse(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn flags_of_q_are_told_from_arguments_of_the_script() {
        let args = parse("tick.q sym . -p 5010 -t 100 -c 40 200 -custom 7").unwrap();
        assert_eq!(args.script.as_deref(), Some("tick.q"));
        assert_eq!(args.rest, ["sym", ".", "-custom", "7"]);
        assert_eq!((args.port.as_deref(), args.timer), (Some("5010"), Some(100)));
        assert_eq!(args.commands, ["c 40 200"]);
        let args = parse("--eval 1+1 --eval=2").unwrap();
        assert_eq!((args.script, args.eval), (None, vec!["1+1".to_owned(), "2".to_owned()]));
        assert!(parse("-t soon").is_err());
        assert!(
            parse("-p 0 -E 2").is_err_and(|e| e.contains("less safe than asked")) && parse("-E 0").is_ok()
        );
        assert!(parse("-p").is_err());
    }
}
