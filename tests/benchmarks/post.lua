-- One webhook of about 400 bytes, posted again and again. Each is an event of its own.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{"id":"ord-20481","customer":{"name":"Ada Byron","email":"ada@example.org","tier":"gold"},"items":[{"sku":"tea-100","name":"Assam, 100 g","price":7.5,"quantity":2},{"sku":"pot-1","name":"Teapot","price":34.0,"quantity":1},{"sku":"cup-4","name":"Cups, set of four","price":28.25,"quantity":1}],"shipping":{"street":"12 Mill Lane","city":"Leeds","country":"GB"},"total":77.25}]]
