for (const button of document.querySelectorAll('#samples th button')) {
  button.addEventListener('click', () => {
    const head = button.closest('th');
    const place = [...head.parentElement.children].indexOf(head);
    const direction = head.getAttribute('aria-sort') === 'ascending' ? 'descending' : 'ascending';
    for (const other of head.parentElement.children) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', direction);
    const body = document.querySelector('#samples tbody');
    const value = (row) => Number(row.children[place].dataset.value);
    const sign = direction === 'ascending' ? 1 : -1;
    const compare = (one, other) => (value(one) === value(other) ? 0 : value(one) < value(other) ? -sign : sign);
    body.append(...[...body.children].sort(compare));
  });
}
