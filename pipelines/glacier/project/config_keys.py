"""The keys of `config.ini`, which cluster, laptop and cloud share. Pure."""

from pipelines.glacier.project.ini_text import Key
from pipelines.glacier.values import DATE, FLAG, NAMES, SLICE, SWITCH, TEXT, choice, whole

REGIONS = Key("REGIONS", "regions", NAMES)
START_END_INDEX = Key("REGIONS", "start_end_index", SLICE)
DATE1 = Key("DATES", "date1", DATE)
DATE2 = Key("DATES", "date2", DATE)
START_DATE = Key("DATES", "start_date", DATE)
END_DATE = Key("DATES", "end_date", DATE)
BASE_DIR = Key("PATHS", "base_dir", TEXT)
LOCAL_BASE_DIR = Key("PATHS", "local_base_dir", TEXT)
DOWNLOAD_FLAG = Key("FLAGS", "download_flag", FLAG)
POST_PROCESSING_FLAG = Key("FLAGS", "post_processing_flag", FLAG)
CLEAR_DOWNLOADS = Key("FLAGS", "clear_downloads", FLAG)
CORES = Key("SETTINGS", "cores", whole(1, 256))
MEMORY = Key("SETTINGS", "memory", TEXT)
RUNTIME = Key("SETTINGS", "runtime", TEXT)
LOG_NAME = Key("SETTINGS", "log_name", TEXT)
EMAIL = Key("SETTINGS", "email", TEXT)
SATELLITE = Key("SETTINGS", "satellite", choice("sentinel2", "landsat"))
DRY_RUN = Key("SETTINGS", "dry_run", SWITCH)
EXECUTION_MODE = Key("SETTINGS", "execution_mode", TEXT)
ENV = Key("SETTINGS", "env", TEXT)
WHICH_STEPS_TO_RUN = Key("SETTINGS", "which_steps_to_run", TEXT)

CONFIG_KEYS: tuple[Key[object], ...] = (
    REGIONS,
    START_END_INDEX,
    DATE1,
    DATE2,
    START_DATE,
    END_DATE,
    BASE_DIR,
    LOCAL_BASE_DIR,
    DOWNLOAD_FLAG,
    POST_PROCESSING_FLAG,
    CLEAR_DOWNLOADS,
    CORES,
    MEMORY,
    RUNTIME,
    LOG_NAME,
    EMAIL,
    SATELLITE,
    DRY_RUN,
    EXECUTION_MODE,
    ENV,
    WHICH_STEPS_TO_RUN,
)
