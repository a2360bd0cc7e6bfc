/ What the clients of `qmesh q -p` ask for.
trade:([]time:2024.01.02D09:30+0D00:01*til 6;sym:`a`b`a`b`a`c;price:1.5+til 6;size:100*1+til 6)
gallery:([]short:1 0N 3h;int:1 0N 3i;long:1 0N 3;real:1.5 0n 3e;float:1.5 0n 3;sym:`a``c;date:2024.01.02 0N 2024.01.04)
add:{[x;y]x+y}
total:0
.u.upd:{[t;x]total+:x;}
