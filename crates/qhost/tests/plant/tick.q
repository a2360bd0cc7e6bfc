/ A tickerplant: takes rows from feeds, logs each message, sends it to who subscribed.
/ qmesh q tick.q TABLES LOGDIR -p PORT
system "l ",.z.x 0
\d .u
d:.z.D
names:system "a ."
/ who gets what: for each table pairs of a handle and symbols
w:names!count[names]#enlist ()
logfile:{[day] hsym `$(.z.x 1),"/plant",string day}
/ opens the log of a day; a log with a cut end is refused
open:{[day]
  L::logfile day;
  if[()~key L; L set ()];
  whole:-11!(-2;L);
  if[1<count whole; -2 (string L)," is cut after byte ",string whole 1; exit 1];
  i::whole;
  l::hopen L;}
drop:{[h] w::{[h;x] x where not h=first each x}[h] each w;}
pick:{[rows;syms] $[`~syms; rows; select from rows where sym in syms]}
publish:{[t;rows] {[t;rows;to] if[count some:pick[rows;to 1]; neg[to 0] (`upd;t;some)]}[t;rows] each w t;}
add:{[t;syms] w[t]:(w[t] where not .z.w=first each w t),enlist (.z.w;syms); (t;update `g#sym from 0#value t)}
sub:{[t;syms] if[t~`; :sub[;syms] each names]; if[not t in names; 't]; add[t;syms]}
/ rows without a time get that of their arrival
stamp:{[x] if[16=abs type first x; :x]; now:.z.N; $[0>type first x; now,x; (enlist count[first x]#now),x]}
upd:{[t;x]
  x:stamp x;
  l enlist (`upd;t;x);
  i+:1;
  publish[t;flip cols[t]!$[0>type first x; enlist each x; x]];}
end:{[day]
  (neg distinct raze {first each x} each value w) @\: (`.u.end;day);
  hclose l;
  d::day+1;
  open d;}
endofday:{end d}
\d .
upd:.u.upd
.z.pc:{.u.drop x}
.z.ts:{if[.u.d<.z.D; .u.endofday[]]}
.u.open .u.d
