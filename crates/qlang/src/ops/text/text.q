/ Names of .Q and .h that q text says best. Each statement defines one name.
.Q.a:"abcdefghijklmnopqrstuvwxyz"
.Q.A:"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
.Q.n:"0123456789"
.Q.nA:"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
.Q.an:"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
.Q.b6:"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
.Q.t:" bg xhijefcspmdznuvts"
.Q.res:`abs`acos`asin`atan`avg`bin`binr`cor`cos`cov`delete`dev`div`do`enlist`exec`exit`exp`getenv`hopen`if`in`insert`last`like`log`max`min`prd`select`setenv`sin`sqrt`ss`sum`tan`update`var`wavg`while`within`wsum`xexp
.h.d:" "
.h.br:"<br>"
.h.c0:`024C7E
.h.c1:`958600
.h.logo:""
.h.HOME:"html"
.h.sa:"a{text-decoration:none}a:link{color:024C7E}a:visited{color:024C7E}a:active{color:958600}"
.h.sb:"body{font:10pt verdana;text-align:justify}"
.h.sc:"$-.+!*'(),abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
.h.ty:`htm`html`csv`txt`xml`xls`gif`ico`jpg`png`svg`js`css`json`pdf`zip`bmp`swf`wasm!("text/html";"text/html";"text/comma-separated-values";"text/plain";"text/plain";"application/msexcel";"image/gif";"image/x-icon";"image/jpeg";"image/png";"image/svg+xml";"application/x-javascript";"text/css";"application/json";"application/pdf";"application/zip";"image/bmp";"application/x-shockwave-flash";"application/wasm")
.h.text1:{$[10h=type x;x;11h=abs type x;string x;0h>type x;string x;.h.d sv string x]}
.h.lines:{raze x,\:"\n"}
.h.htc:{[tag;body]"<",(string tag),">",body,"</",(string tag),">"}
.h.hta:{[tag;attrs]"<",(string tag),(raze{" ",(string x),"=",$[10h=abs type y;"\"",y,"\"";string y]}'[key attrs;value attrs]),">"}
.h.htac:{[tag;attrs;body].h.hta[tag;attrs],body,"</",(string tag),">"}
.h.ha:{[url;body].h.htac[`a;(1#`href)!enlist url;body]}
.h.hb:{[url;body].h.htac[`a;`target`href!(`v;url);body]}
.h.hc:{ssr[x;"<";"&lt;"]}
.h.xs:{ssr[ssr[ssr[x;"&";"&amp;"];"<";"&lt;"];">";"&gt;"]}
.h.hr:{(count x)#"-"}
.h.nbr:.h.htc`nobr
.h.pre:{.h.htc[`pre;.h.lines x]}
.h.xmp:{.h.htc[`xmp;.h.lines x]}
.h.text:{.h.lines .h.htc[`p]each x}
.h.code:{" "sv{$[y mod 2;.h.htc[`code;.h.nbr x];x]}'[p;til count p:"\t"vs x]}
.h.html:{.h.htc[`html;.h.htc[`head;.h.htc[`style;.h.sa,.h.sb]],.h.htc[`body;x]]}
.h.hn:{[status;ty;body]"HTTP/1.1 ",status,"\r\nContent-Type: ",$[ty in key .h.ty;.h.ty ty;"application/octet-stream"],"\r\nConnection: close\r\nContent-Length: ",(string count body),"\r\n\r\n",body}
.h.hnz:{[status;ty;body].h.hn[status;ty;body]}
.h.hy:{[ty;body].h.hn["200 OK";ty;body]}
.h.hp:{.h.hy[`htm;.h.htc[`html;.h.htc[`head;.h.htc[`style;.h.sb]],.h.htc[`body;.h.pre x]]]}
.h.he:{.h.hn["400 Bad Request";`txt;"'",.h.hc x]}
.h.ka:{$[0<x;"keep-alive\r\nKeep-Alive: timeout=",string x div 1000;"close"]}
.h.hu:{raze{$[x in .h.sc;x;"%",string"x"$x]}each x}
.h.hug:{[keep;x]raze{$[y in x;y;"%",string"x"$y]}[keep]each x}
.h.uh:{p:"%"vs x;(first p),raze{("c"$"X"$2#x),2_x}each 1_p}
.h.http:{i:x ss"http://";$[count i;raze(enlist i[0]#x),{n:(x in" \t\n<>\"")?1b;.h.ha[n#x;n#x],n _ x}each i cut x;x]}
.h.iso8601:{ssr[@[string"p"$x;4 7;:;"-"];"D";"T"]}
.h.fram:{[title;body;files]f:$[10h=type files;enlist files;files];"<html><head><title>",title,"</title><frameset cols=\"316,*\"><frame src=\"",(first f),"\"><frame name=v src=\"",(last f),"\"></frameset></head></html>"}
.h.cd:{$[.Q.qt x;csv 0:flip{$[(0h=type x)and not all 10h=type each x;.h.text1 each x;x]}each flip 0!x;csv 0:x]}
.h.td:{$[.Q.qt x;"\t"0:flip{$[(0h=type x)and not all 10h=type each x;.h.text1 each x;x]}each flip 0!x;"\t"0:x]}
.h.xrow:{[names;row].h.htc[`r;raze .h.htc'[names;row]]}
.h.xd:{t:0!x;c:cols t;r:flip{.h.xs each$[10h=type x;enlist each x;.h.text1 each x]}each value flip t;(enlist"<R>"),(.h.xrow[c]each r),enlist"</R>"}
.h.ecell:{t:abs type x;"<Cell><Data ss:Type=\"",$[(t within 5 9)or t=1;"Number";"String"],"\">",(.h.xs .h.text1 x),"</Data></Cell>"}
.h.es:{[name;t]"<Worksheet ss:Name=\"",(string name),"\"><Table>",(raze{"<Row>",(raze .h.ecell each x),"</Row>"}each(enlist string cols t),value each t:0!t),"</Table></Worksheet>"}
.h.eb:{"<Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\" xmlns:o=\"urn:schemas-microsoft-com:office:office\" xmlns:x=\"urn:schemas-microsoft-com:office:excel\" xmlns:ss=\"urn:schemas-microsoft-com:office:spreadsheet\">",x,"</Workbook>"}
.h.ex:{("<?xml version=\"1.0\"?><?mso-application progid=\"Excel.Sheet\"?>";x)}
.h.ed:{.h.ex .h.eb .h.es[`Sheet1;x]}
.h.edsn:{.h.ex"<Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\" xmlns:ss=\"urn:schemas-microsoft-com:office:spreadsheet\">",(raze .h.es'[key x;value x]),"</Workbook>"}
.h.tx:`raw`json`csv`txt`xml`xls!(enlist;{.j.j each$[.Q.qt x;0!x;x]};.h.cd;.h.td;.h.xd;.h.ed)
.h.xt:`json`csv!({.j.k each x};{x})
.h.val:value
.h.jx:{[j;t]n:count v:$[-11h=type t;value t;t];s:32;a:{"<a href=\"?[",(string x),"\">",y,"</a> "};k:0|n-s;(enlist raze(a[0;"home"];a[0|j-s;"up"];a[k&j+s;"down"];a[k;"end"];(string n),"[",(string j),"]")),(enlist""),-1_"\n"vs .Q.s j _ 0!v}
.Q.x:()
.Q.M:0Wj
.Q.host:{$[x~2130706433i;`localhost;`]}
.Q.ff:{[t;u]c:cols[u]except cols t;t,'flip c!count[t]#'0#'(0!u)c}
.Q.ld:{i:where not(first each x)in" \t}";(1+i;"\n"sv/:i cut x)}
.Q.ts:{[f;a]t:.z.p;r:f . a;((("j"$.z.p-t)div 1000000;0);r)}
.Q.v:{$[-11h=type x;get x;x]}
.Q.V:{flip 0!.Q.v x}
.q.fkeys:{t:flip 0!x;c:where(type each t)within 20 76h;c:c where{$[-11h=type x;98h<=type@[get;x;0];0b]}each key each t c;c!key each t c}
