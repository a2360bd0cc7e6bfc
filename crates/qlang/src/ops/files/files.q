/ Names of .Q about files and databases that q text says best. Each statement defines one name.
.Q.M:0W
.Q.x:()
.Q.hdpf:{[h;d;p;f] {[d;p;f;t] .Q.dpft[d;p;f;t]; @[`.;t;0#];}[d;p;f]each tables`.; if[h:@[hopen;h;0];h"\\l .";hclose h];}
