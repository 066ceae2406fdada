(function () {
  'use strict';
  var form = document.getElementById('filter');
  var said = document.getElementById('shown');
  var names = ['namespace', 'tier', 'item', 'state'];
  // not by form.elements: a collection has an item() of its own
  var by = {};
  names.forEach(function (name) { by[name] = document.getElementById('by-' + name); });
  var items = Array.prototype.slice.call(by.item.options, 1).map(function (option) { return option.value; });
  var rows = Array.prototype.slice.call(document.querySelectorAll('[data-tier]'));
  var card = document.getElementById('card');

  function matches(row, want) {
    if (want.namespace && row.dataset.namespace !== want.namespace.slice(1)) { return false; }
    if (want.tier && row.dataset.tier !== want.tier) { return false; }
    // later tasks of a workload are shown when their item is asked for
    if (row.dataset.item) { return (want.item ? row.dataset.item === want.item : !row.hasAttribute('data-later')) && (!want.state || want.state === 'o'); }
    var states = row.dataset.states;
    if (want.item) { states = states.charAt(items.indexOf(want.item)); }
    return !want.state || states.indexOf(want.state) >= 0;
  }

  function apply() {
    var want = {};
    names.forEach(function (name) { want[name] = by[name].value; });
    var shown = 0;
    rows.forEach(function (row) {
      row.hidden = !matches(row, want);
      if (!row.hidden && card && card.contains(row)) { shown += 1; }
    });
    var only = want.item ? items.indexOf(want.item) + 2 : -1;
    if (card) {
      Array.prototype.forEach.call(card.rows, function (row) {
        Array.prototype.forEach.call(row.cells, function (cell, position) { cell.hidden = only >= 0 && position > 1 && position !== only; });
      });
    }
    document.querySelectorAll('[data-finding]').forEach(function (row) { row.hidden = Boolean(want.item) && row.dataset.finding !== want.item; });
    said.textContent = shown + (shown === 1 ? ' workload shown' : ' workloads shown');
    var chosen = names.filter(function (name) { return want[name]; }).map(function (name) { return name + '=' + encodeURIComponent(want[name]); });
    try { history.replaceState(null, '', chosen.length ? '#' + chosen.join('&') : location.pathname + location.search); } catch (e) { /* the filter works without an address of its own */ }
  }

  function read() {
    location.hash.slice(1).split('&').forEach(function (pair) {
      var at = pair.indexOf('=');
      var name = pair.slice(0, at);
      if (at > 0 && names.indexOf(name) >= 0) {
        try { by[name].value = decodeURIComponent(pair.slice(at + 1)); } catch (e) { return; }
        if (by[name].selectedIndex < 0) { by[name].selectedIndex = 0; }
      }
    });
  }

  form.addEventListener('change', apply);
  form.addEventListener('submit', function (event) { event.preventDefault(); });
  form.addEventListener('reset', function () { setTimeout(apply, 0); });
  form.hidden = false;
  if (location.hash.indexOf('=') > 0) { read(); apply(); }
}());
