const form = document.getElementById('filter'), shown = document.getElementById('shown');
const rows = [...document.querySelectorAll('#findings tbody tr')], keys = ['namespace', 'tier', 'policy'];
function filter() {
  let count = 0;
  for (const row of rows) {
    const hit = keys.every(key => !form.elements[key].value || form.elements[key].value === row.dataset[key]);
    row.hidden = !hit;
    count += hit;
  }
  shown.textContent = `${count} of ${rows.length} shown`;
}
if (form) {
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const key of keys) if (wanted.has(key)) form.elements[key].value = wanted.get(key);
  form.addEventListener('input', filter);
  form.addEventListener('reset', () => setTimeout(filter));
  form.hidden = false;
  filter();
}
