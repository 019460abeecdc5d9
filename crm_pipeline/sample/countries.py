"""The countries of the made-up clubs: currency, time zone, phone numbers, playing seasons, and lists of names."""

from dataclasses import dataclass
from typing import Final

_NORTHERN_SEASONALITY: Final = (0.35, 0.45, 0.75, 1.1, 1.4, 1.5, 1.5, 1.45, 1.25, 0.95, 0.6, 0.4)
_SOUTHERN_SEASONALITY: Final = (1.3, 1.3, 1.25, 1.05, 0.8, 0.6, 0.6, 0.75, 0.95, 1.1, 1.2, 1.1)
_MEDITERRANEAN_SEASONALITY: Final = (0.8, 0.9, 1.15, 1.2, 1.15, 0.9, 0.75, 0.75, 1.05, 1.3, 1.15, 0.9)
_DESERT_SEASONALITY: Final = (1.5, 1.6, 1.6, 1.3, 0.9, 0.5, 0.4, 0.4, 0.6, 0.9, 1.15, 1.35)


@dataclass(frozen=True, slots=True)
class NameLists:
    """First and last names of a country's people."""

    first: tuple[str, ...]
    last: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Country:
    """The facts common to all clubs of a country.

    Each made-up mobile number is `mobile_prefix` and seven digits. The prefixes come from the examples of
    `phonenumbers`: ranges reserved for fiction hold far too few numbers (North America's 100 per area code) or are
    invalid there (Britain's 07700 900). `digit_groups` are the lengths of the groups in which a number is written,
    `month_weights` the visits per month relative to each other.
    """

    code: str
    currency: str
    timezone: str
    calling_code: str
    trunk_prefix: str
    international_prefix: str
    mobile_prefix: str
    digit_groups: tuple[int, ...]
    month_weights: tuple[float, ...]
    green_fee_cents: int
    names: NameLists


def _split_words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


_ENGLISH_NAMES: Final = NameLists(
    _split_words("""
    Alan Alice Andrew Anna Barbara Ben Brian Carol Charles Claire Daniel David Diane Edward Emma Fiona Frank
    George Grace Hannah Harry Helen Ian Isla Jack James Jane Jean Joan Keith Kate Laura Lewis Mary Mark Nigel Nora
    Oliver Olive Paul Paula Rachel Robert Ruth Samuel Sarah Stephen Thomas Tessa Victor Walter Wendy"""),
    _split_words("""
    Abbotsley Ashdown Barrowby Bexfield Birkwood Brackley Bramhall Carrow Cheswick Coldbeck Dunmere Eastgate
    Elmhurst Fairbrook Farrow Fenwright Garside Greyling Halloway Hartwell Hazelby Holbrook Inglewood Kestrel Kirkby
    Langmere Larkfield Marlowe Merrow Netherby Oakeshott Ormsley Penrow Pickwell Quarrington Ravensby Redfern Rookwood
    Sedgeley Selwood Stanmoor Tarrant Thornbury Underhill Wainfield Westbrook Whitlock Wickstead Winterby Yarrow"""),
)
_SOUTH_AFRICAN_NAMES: Final = NameLists(
    _split_words("""
    Adriaan Aisha Andile Anele Anton Bongani Busisiwe Bianca Charl Chantal Deon Dineo Elize Ernst Farouk
    Francois Gerrit Gugu Hendrik Hlengiwe Ilse Imran Jaco Johan Karin Katlego Lerato Lwazi Mandla Marike Naledi Nomsa
    Oupa Olwethu Pieter Priya Riaan Refilwe Sipho Sizwe Thabo Themba Thandi Unathi Vusi Willem Xolani Yusuf Zanele
    Zola"""),
    _split_words("""
    Adonis Bezuidveld Botharivier Buthelani Coetsvlei Daviduna De_Rooyberg Dlamani Du_Preyvlei Ebrahimsa
    Engelbrand Fouriekop Gcabeza Govendran Hlongwani Isakari Jacobsrus Jalisa Khumalise Kruisveld Lategaan Lebonya
    Mabasela Maharini Makhathuse Marais-Kloof Mokoeni Molefane Mthembani Naidooran Ndlovana Nkosani Oosthuisen Pillaran
    Pretoriusvlei Radebeni Roosvelt Sibandani Sitholwe Snymanskop Swartberg Tshabane Van_der_Vlei Van_Rensburgh
    Venterkop Viljoenrus Vilakasi Wessano Xabanisa Zondani"""),
)
_IRISH_NAMES: Final = NameLists(
    _split_words("""
    Aidan Aisling Aoife Brendan Bríd Caoimhe Cathal Ciara Conor Declan Deirdre Dermot Eileen Eoin Fergal Fionn
    Gráinne Gerry Imelda Ita Kieran Kevin Liam Lorcan Maeve Michael Muireann Niall Niamh Nuala Oisín Orla Pádraig
    Patrick Róisín Rory Seán Sinéad Siobhán Tadhg Tara Una"""),
    _split_words("""
    Ballagh Bradigan Brannelly Carrowen Cassely Clannon Corriden Culhaney Dalvin Devanagh Donnavan Duffrey
    Fallonby Finnerley Gallivan Garrihy Hanlevy Kerrane Kilbride Lanigrew MacArdagh McGlinn Mulvany Nevinagh O'Brannan
    O'Ciardha O'Dowlan O'Farragh O'Hanrue O'Mallin Quillinan Rathlin Scanley Sheerane Tierlan Tullymore Whelagan"""),
)
_GERMAN_NAMES: Final = NameLists(
    _split_words("""
    Anja Andreas Anneliese Bernd Birgit Björn Christa Christoph Dieter Dörte Eberhard Elke Franz Friederike
    Gerd Gisela Günter Hannelore Heiko Ingrid Ilse Jörg Jürgen Jutta Karl Katrin Lars Lieselotte Manfred Monika Norbert
    Nadine Otto Petra Rainer Renate Stefan Sabine Thorsten Tanja Uwe Ursula Volker Wolfgang Wiebke"""),
    _split_words("""
    Achterfeld Ahrental Bachhuber Birkenau Brunnhof Buchwalder Dornbach Ebersholt Eichgruber Falkner Feldmoser
    Grünberg Haselhoff Heidkamp Hohlbein Immenhof Jägerfeld Kastenbauer Kieferling Kirchgaß Lindenthal Löwenhardt
    Mühlbrand Nordkamp Oberwald Pfahler Quellmann Rosenhag Röttgers Sandkuhl Schäferling Steinacker Tannhof Ulmenried
    Vogelsberg Wiesengrund Zieglau"""),
)
_SPANISH_NAMES: Final = NameLists(
    _split_words("""
    Adela Agustín Alba Álvaro Beatriz Blas Carmen César Dolores Diego Elena Esteban Fermín Fátima Gloria
    Gonzalo Hugo Inés Isabel Iván Jaime Julia Laura Lorenzo Marta Miguel Nieves Nicolás Óscar Olga Pablo Pilar Ramón
    Rocío Sara Simón Teresa Tomás Vera Víctor"""),
    _split_words("""
    Alcornosa Arroyal Bancales Barrancal Cañaveta Carrascol Cerezano Colmenarejo Dehesal Encinar Espinarda
    Fuentejo Granadal Hontanar Jarales Labrador Lomacorta Manzanedo Molinera Naranjuelo Olivarde Peñalosa Pinareda
    Quintavilla Robledano Salcedillo Solanar Tejadal Torrenueva Umbriales Valdoseda Vegalarga Zarzales"""),
)
_SWEDISH_NAMES: Final = NameLists(
    _split_words("""
    Agneta Anders Annika Arvid Berit Bo Cecilia Claes Dag Doris Elsa Erik Folke Freja Göran Greta Håkan Hanna
    Inger Ivar Jan Johanna Karin Kjell Lena Linus Maja Mats Nils Nora Oskar Ove Pernilla Per Ragnar Rut Sigrid Sven Tove
    Torsten Ulla Ulf Viggo Vera Åke Åsa Örjan"""),
    _split_words("""
    Almgård Askelund Backfors Berglind Björkstad Dalvik Ekenäs Fagerdal Forsmark Granholt Gullstrand Hagelby
    Hallonstedt Havsvik Hedlinge Högdal Klintmark Kvarnby Lindmora Ljungdal Mossvik Norrhäll Näslinge Rosenmark Rönnåsen
    Sandhed Skogsby Solvik Stenfors Sundhage Tallberga Vallmo Vinterås Åkerdal Ängsvik Öståsen"""),
)

ZA: Final = Country(
    "ZA",
    "ZAR",
    "Africa/Johannesburg",
    "27",
    "0",
    "00",
    "71",
    (2, 3, 4),
    _SOUTHERN_SEASONALITY,
    65_000,
    _SOUTH_AFRICAN_NAMES,
)
GB: Final = Country(
    "GB", "GBP", "Europe/London", "44", "0", "00", "740", (4, 6), _NORTHERN_SEASONALITY, 4_500, _ENGLISH_NAMES
)
US: Final = Country(
    "US", "USD", "America/Phoenix", "1", "", "011", "201", (3, 3, 4), _DESERT_SEASONALITY, 8_000, _ENGLISH_NAMES
)
_OTHER_COUNTRIES: Final = (
    Country(
        "AU",
        "AUD",
        "Australia/Sydney",
        "61",
        "0",
        "0011",
        "41",
        (3, 3, 3),
        _SOUTHERN_SEASONALITY,
        7_000,
        _ENGLISH_NAMES,
    ),
    Country(
        "IE", "EUR", "Europe/Dublin", "353", "0", "00", "85", (2, 3, 4), _NORTHERN_SEASONALITY, 5_000, _IRISH_NAMES
    ),
    Country(
        "NZ", "NZD", "Pacific/Auckland", "64", "0", "00", "21", (2, 3, 4), _SOUTHERN_SEASONALITY, 6_000, _ENGLISH_NAMES
    ),
    Country("DE", "EUR", "Europe/Berlin", "49", "0", "00", "1512", (4, 7), _NORTHERN_SEASONALITY, 7_500, _GERMAN_NAMES),
    Country(
        "ES", "EUR", "Europe/Madrid", "34", "", "00", "61", (3, 3, 3), _MEDITERRANEAN_SEASONALITY, 6_500, _SPANISH_NAMES
    ),
    Country(
        "CA", "CAD", "America/Toronto", "1", "", "011", "506", (3, 3, 4), _NORTHERN_SEASONALITY, 7_000, _ENGLISH_NAMES
    ),
    Country(
        "SE", "SEK", "Europe/Stockholm", "46", "0", "00", "70", (2, 3, 4), _NORTHERN_SEASONALITY, 55_000, _SWEDISH_NAMES
    ),
)
COUNTRIES: Final = (ZA, GB, US, *_OTHER_COUNTRIES)
"""Countries in the order in which clubs are assigned to them."""
