{[x]
  page:{.h.hy[`html;.h.htc[`html;.h.htc[`body;.h.htc[`pre;x]]]]};
  r:x 0; p:r?"?"; name:p#r;
  if[p=count r;
    if[0=count name; :page"\n"sv{.h.ha["?",.h.hu string x;string x]}each tables`.];
    f:hsym`$.h.HOME,"/",name;
    if[(".." in "/"vs name)or not f~key f; :.h.hn["404 Not Found";`txt;"not found: ",name]];
    :.h.hy[`$last"."vs name;"c"$read1 f]];
  v:value .h.uh(1+p)_r;
  if[0=count name; :page .h.hc .Q.s v];
  kind:`$last"."vs name;
  t:.h.tx[kind]v;
  .h.hy[kind;$[10h=type t;t;"\n"sv t]]}
