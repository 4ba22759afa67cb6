// Keeps values in the browser over a reload, by keys that are arrays. A session's keys begin with its id.

const DATABASE = "softinpaint", STORE = "sessions";
let opening = null;

function answered(request) {
    return new Promise((resolve, reject) => {
        request.addEventListener("success", () => resolve(request.result));
        request.addEventListener("error", () => reject(request.error));
    });
}

async function store(mode) {
    if (!opening) {
        const request = indexedDB.open(DATABASE, 1);
        request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE));
        opening = answered(request);
    }
    return (await opening).transaction(STORE, mode).objectStore(STORE);
}

const ofSession = (id) => IDBKeyRange.bound([id], [id, []]);

/** All of these reject if the browser keeps nothing. */
export async function keptValue(key) {
    return answered((await store("readonly")).get(key));
}

export async function keep(key, value) {
    return answered((await store("readwrite")).put(value, key));
}

export async function keptKeys() {
    return answered((await store("readonly")).getAllKeys());
}

export async function forgetSession(id) {
    return answered((await store("readwrite")).delete(ofSession(id)));
}
