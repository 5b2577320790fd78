// Answers SQL: reads a JSON array of statements from standard input and writes, for each, its heading and rows as texts.
import { DuckDBInstance } from '@duckdb/node-api'
import { text } from 'node:stream/consumers'

const connection = await (await DuckDBInstance.create(':memory:')).connect()
const answers = []
for (const statement of JSON.parse(await text(process.stdin))) {
  const reader = await connection.runAndReadAll(statement)
  const rows = reader.getRows().map((row) => row.map((value) => (value === null ? '' : String(value))))
  answers.push([reader.columnNames(), ...rows])
}
console.log(JSON.stringify(answers))
