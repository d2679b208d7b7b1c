"""Top-level domains that make a bare name in free text a domain (after the IANA root zone, the generic ones in common use)."""

_COUNTRIES = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch
ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn
gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc
li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz
om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz
tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw
"""
_GENERIC = """
aero agency app arpa art asia bank bar best bid biz blog builders business buzz cafe cam camp capital care cash cat center
chat city click cloud club codes coffee com community company computer cool coop country cyou date deals delivery dev
digital direct directory download earth edu education email energy engineering enterprises events exchange expert express
family fans finance financial fit foundation fun fund fyi gallery games gdn global gmbh gold gov graphics gratis group guide
guru health help holdings host hosting house icu immo industries info ink insure int institute international investments
jobs kim land law legal lgbt life lighting limited link live loan loans lol london ltd market marketing mba media men mil
mobi moe money monster mov museum name net network news ninja nyc observer one ong onion online ooo org page partners parts
party photo photos pics pictures pizza place plus press pro productions promo properties pub quest racing realty red rehab
rent repair report rest review reviews rip rocks run sale sbs school science security services shop show site skin social
software solutions space store stream studio style sucks supplies support surf systems tax team tech technology tel tips
today tokyo tools top town toys trade trading training travel tube uno vacations ventures video vip vision vodka wang
watch webcam website wiki win wine work works world wtf xxx xyz yoga zip zone
"""
KNOWN = frozenset((_COUNTRIES + _GENERIC).split())

# Also endings of file names and of code: a two-part name under these is not taken for a domain.
_ALSO_FILES = """
ai app as bar bat cab cc do in is it la md me mov name pl pm ps pub py rs run sc sh so st to zip
"""
AMBIGUOUS = frozenset(_ALSO_FILES.split())
