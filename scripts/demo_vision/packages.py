"""Debian 12 packages whose faces hold A-Z and 0-9, fonts of other scripts with Latin letters included."""

PACKAGES = """
fonts-3270 fonts-adf-accanthis fonts-adf-baskervald fonts-adf-berenis fonts-adf-gillius fonts-adf-ikarius
fonts-adf-irianis fonts-adf-libris fonts-adf-mekanus fonts-adf-oldania fonts-adf-romande fonts-adf-solothurn
fonts-adf-switzera fonts-adf-tribun fonts-adf-universalis fonts-adf-verana fonts-aenigma fonts-agave fonts-
aksharyogini2 fonts-allerta fonts-amiga fonts-anonymous-pro fonts-apropal fonts-arabeyes fonts-arapey fonts-
arkpandora fonts-arundina fonts-atarismall fonts-averia-gwf fonts-averia-sans-gwf fonts-averia-serif-gwf
fonts-b612 fonts-babelstone-modern fonts-bajaderka fonts-bebas-neue fonts-beng-extra fonts-beteckna fonts-
blankenburg fonts-bpg-georgian fonts-breip fonts-bwht fonts-cabin fonts-cabinsketch fonts-cantarell fonts-
cardo fonts-cherrybomb fonts-clear-sans fonts-cmu fonts-comfortaa fonts-comic-neue fonts-compagnon fonts-
courier-prime fonts-croscore fonts-crosextra-caladea fonts-crosextra-carlito fonts-dancingscript fonts-dejavu-
core fonts-dejavu-extra fonts-deva-extra fonts-dkg-handwriting fonts-dosis fonts-dustin fonts-ebgaramond
fonts-ebgaramond-extra fonts-ecolier-court fonts-eeyek fonts-elstob fonts-engadget fonts-essays1743 fonts-
eurofurence fonts-evertype-conakry fonts-f500 fonts-fantasma fonts-fantasque-sans fonts-fanwood fonts-farsiweb
fonts-femkeklaver fonts-ferrite-core fonts-firacode fonts-freefarsi fonts-freefont-otf fonts-freefont-ttf
fonts-gamaliel fonts-gargi fonts-gemunu-libre fonts-georgewilliams fonts-gfs-artemisia fonts-gfs-didot fonts-
gfs-neohellenic fonts-gfs-theokritos fonts-glasstty fonts-gnutypewriter fonts-gotico-antiqua fonts-
goudybookletter fonts-gujr-extra fonts-hack fonts-havana fonts-hermit fonts-hosny-amiri fonts-hosny-thabit
fonts-humor-sans fonts-inconsolata fonts-inter fonts-isabella fonts-jetbrains-mono fonts-johnsmith-induni
fonts-joscelyn fonts-junction fonts-junicode fonts-jura fonts-karla fonts-karmilla fonts-kaushanscript fonts-
khmeros fonts-klaudia-berenika fonts-kristi fonts-lao fonts-lato fonts-le-murmure fonts-league-mono fonts-
league-spartan fonts-leckerli-one fonts-lemonada fonts-lg-aboriginal fonts-liberation fonts-liberation2 fonts-
lindenhill fonts-linex fonts-linuxlibertine fonts-lobster fonts-lobstertwo fonts-lohit-deva fonts-lohit-telu
fonts-lyx fonts-manchufont fonts-manrope fonts-meera-inimai fonts-millimetre fonts-monofur fonts-monoid fonts-
monoid-halfloose fonts-monoid-halftight fonts-monoid-loose fonts-monoid-tight fonts-mononoki fonts-
mph-2b-damase fonts-myanmar fonts-nakula fonts-nanum fonts-nanum-eco fonts-national-park fonts-noto-core
fonts-noto-mono fonts-ocr-a fonts-ocr-b fonts-okolaks fonts-oldstandard fonts-open-sans fonts-opendin fonts-
osifont fonts-oxygen fonts-pagul fonts-paktype fonts-paratype fonts-play fonts-prociono fonts-proggy fonts-
quattrocento fonts-quicksand fonts-radisnoir fonts-rit-sundar fonts-roadgeek fonts-roboto-fontface fonts-
roboto-hinted fonts-roboto-slab fonts-routed-gothic fonts-rufscript fonts-sahadeva fonts-sarai fonts-
senamirmir-washra fonts-sil-abyssinica fonts-sil-akatab fonts-sil-alkalami fonts-sil-andika fonts-sil-andika-
compact fonts-sil-andikanewbasic fonts-sil-annapurna fonts-sil-awami-nastaliq fonts-sil-charis fonts-sil-
charis-compact fonts-sil-dai-banna fonts-sil-doulos fonts-sil-doulos-compact fonts-sil-ezra fonts-sil-galatia
fonts-sil-gentium fonts-sil-gentium-basic fonts-sil-harmattan fonts-sil-lateef fonts-sil-mingzat fonts-sil-
mondulkiri fonts-sil-mondulkiri-extra fonts-sil-nuosusil fonts-sil-padauk fonts-sil-scheherazade fonts-sil-
sophia-nubian fonts-sil-tagmukay fonts-sil-taiheritagepro fonts-sixtyfour fonts-sjfonts fonts-smc-
anjalioldlipi fonts-smc-chilanka fonts-smc-dyuthi fonts-smc-gayathri fonts-smc-karumbi fonts-smc-keraleeyam
fonts-smc-manjari fonts-smc-meera fonts-smc-rachana fonts-smc-suruma fonts-smc-uroob fonts-solide-mirage
fonts-sora fonts-spleen fonts-staypuft fonts-stix fonts-summersby fonts-taml-tscu fonts-teluguvijayam fonts-
terminus fonts-tiresias fonts-tlwg-garuda-otf fonts-tlwg-kinnari-otf fonts-tlwg-laksaman-otf fonts-tlwg-loma-
otf fonts-tlwg-mono-otf fonts-tlwg-norasi-otf fonts-tlwg-purisa-otf fonts-tlwg-sawasdee-otf fonts-tlwg-
typewriter-otf fonts-tlwg-typist-otf fonts-tlwg-typo-otf fonts-tlwg-umpush-otf fonts-tlwg-waree-otf fonts-
tomsontalks fonts-triod-postnaja fonts-tuffy fonts-ubuntu-title fonts-ukij-uyghur fonts-unikurdweb fonts-
uralic fonts-urw-base35 fonts-vollkorn fonts-yanone-kaffeesatz fonts-yrsa-rasa
""".split()
