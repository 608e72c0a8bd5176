/** Never says hello. */
setInterval(() => {}, 1000);
