import { type BrowserContextOptions, chromium } from 'playwright-core'
import { which } from 'zx'
import type { Environment } from '../binaries/find.ts'

/** Takes pictures of pages in Chromium, as PNG files. */
export interface Camera {
  /** As much of the page as there is. */
  ofText(html: string, file: string): Promise<void>
  /** As much of it as a reader sees who has just opened it. */
  ofFile(path: string, file: string, reader: BrowserContextOptions): Promise<void>
  close(): Promise<void>
}

// A loaded machine takes its time for a page.
const timeout = 120_000
const arguments_ = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync']

/**
 * Starts Chromium: that of CHROMIUM, else the one in PATH.
 * @throws Error when there is none
 */
export async function openCamera(environment: Environment = process.env): Promise<Camera> {
  const executablePath = environment.CHROMIUM || (await which('chromium'))
  const browser = await chromium.launch({ executablePath, args: arguments_, timeout })
  const open = async (reader: BrowserContextOptions) => {
    const page = await browser.newPage(reader)
    page.setDefaultTimeout(timeout)
    return page
  }
  return {
    ofText: async (html, file) => {
      const page = await open({ viewport: { width: 1, height: 1 }, deviceScaleFactor: 1.1 })
      await page.setContent(html)
      await page.locator('body').screenshot({ path: file })
      await page.close()
    },
    ofFile: async (path, file, reader) => {
      const page = await open(reader)
      await page.goto(`file://${path}`)
      await page.screenshot({ path: file })
      await page.close()
    },
    close: () => browser.close(),
  }
}
